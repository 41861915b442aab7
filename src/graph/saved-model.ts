import { createRequire } from "node:module";
import { PACKAGE } from "../backend/tensorflow.js";
import { type Attribute, type Graph, type GraphFunction, type GraphNode, TYPES } from "./graph.js";

/** Tag of the graph in its file. */
export const TAG = "serve";

/** Version of the graph format, one that TensorFlow 2.21 reads without conversions. */
const PRODUCER = 1800;

/** A protocol buffer of TensorFlow's. TensorFlow.js has the classes, without types: `setX`, `setXList`, `getXMap`. */
type Message = Readonly<Record<string, (value?: unknown) => unknown>>;

/** Makes a message of a class of tensorflow.proto: its fields and lists, then the entries of its maps. */
type Make = (type: string, fields: Entries, maps?: Readonly<Record<string, Entries>>) => Message;
type Entries = Readonly<Record<string, unknown>>;

/** Serialises a graph in TensorFlow's file format, as the content of a saved_model.pb. */
export function savedModel(graph: Graph): Uint8Array {
  const make = messageMaker();
  const library = make("FunctionDefLibrary", {
    FunctionList: graph.functions.map((definition) => functionDef(make, definition)),
  });
  const graphDef = make("GraphDef", {
    NodeList: graph.nodes.map((node) => nodeDef(make, node)),
    Library: library,
    Versions: make("VersionDef", { Producer: PRODUCER }),
  });
  const metaGraph = make("MetaGraphDef", {
    MetaInfoDef: make("MetaGraphDef.MetaInfoDef", { TagsList: [TAG] }),
    GraphDef: graphDef,
  });
  const model = make("SavedModel", { SavedModelSchemaVersion: 1, MetaGraphsList: [metaGraph] });
  return model["serializeBinary"]!() as Uint8Array;
}

function messageMaker(): Make {
  type Classes = { readonly [name: string]: Classes & (new () => Message) };
  const classes = createRequire(import.meta.url)(`${PACKAGE}/dist/proto/api_pb.js`) as Classes;
  return (type, fields, maps = {}) => {
    const [outer, inner] = type.split(".");
    const message = new (inner ? classes[outer!]![inner]! : classes[outer!]!)();
    for (const [field, value] of Object.entries(fields)) message[`set${field}`]!(value);
    for (const [name, entries] of Object.entries(maps)) {
      const map = message[`get${name}Map`]!() as Map<string, unknown>;
      for (const [key, value] of Object.entries(entries)) map.set(key, value);
    }
    return message;
  };
}

const nodeDef = (make: Make, { name, operation, inputs, attributes }: GraphNode): Message =>
  make("NodeDef", { Name: name, Op: operation, InputList: inputs }, { Attr: attrValues(make, attributes) });

function functionDef(make: Make, { name, inputs, outputs, nodes, attributes }: GraphFunction): Message {
  const argDefs = (list: GraphFunction["inputs"]) =>
    list.map((argument) => make("OpDef.ArgDef", { Name: argument.name, Type: TYPES[argument.type] }));
  const signature = { Name: name, InputArgList: argDefs(inputs), OutputArgList: argDefs(outputs) };
  return make(
    "FunctionDef",
    {
      Signature: make("OpDef", { ...signature, IsStateful: true }),
      NodeDefList: nodes.map((node) => nodeDef(make, node)),
    },
    {
      Ret: Object.fromEntries(outputs.map((output) => [output.name, output.from])),
      Attr: attrValues(make, attributes),
    },
  );
}

const attrValues = (make: Make, attributes: GraphNode["attributes"]): Entries =>
  Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attrValue(make, value)]));

function attrValue(make: Make, attribute: Attribute): Message {
  const value = (fields: Entries) => make("AttrValue", fields);
  if ("type" in attribute) return value({ Type: TYPES[attribute.type] });
  if ("shape" in attribute) return value({ Shape: shapeOf(make, attribute.shape) });
  if ("bool" in attribute) return value({ B: attribute.bool });
  if ("string" in attribute) return value({ S: Buffer.from(attribute.string) });
  if ("int" in attribute) return value({ I: attribute.int });
  const { values, shape, type } = attribute.tensor;
  const array = { float32: Float32Array, int32: Int32Array }[type as string] ?? Uint8Array;
  const tensor = {
    Dtype: TYPES[type],
    TensorShape: shapeOf(make, shape),
    TensorContent: new Uint8Array(array.from(values).buffer),
  };
  return value({ Tensor: make("Tensor", tensor) });
}

const shapeOf = (make: Make, sizes: readonly number[]): Message =>
  make("TensorShape", { DimList: sizes.map((size) => make("TensorShape.Dim", { Size: size })) });
