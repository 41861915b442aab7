import { createRequire } from "node:module";
import { PACKAGE } from "../backend/tensorflow.js";
import { type Attribute, type Graph, type GraphFunction, type GraphNode, TYPES } from "./graph.js";

/** Tag of the graph in its file. */
export const TAG = "serve";

/** Version of the graph format, one that TensorFlow 2.21 reads without conversions. */
const PRODUCER = 1800;

/** Serialises a graph in TensorFlow's file format, as the content of a saved_model.pb. */
export function savedModel(graph: Graph): Uint8Array {
  const graphDef = message("GraphDef", {
    NodeList: graph.nodes.map(nodeDef),
    Library: message("FunctionDefLibrary", { FunctionList: graph.functions.map(functionDef) }),
    Versions: message("VersionDef", { Producer: PRODUCER }),
  });
  const MetaInfoDef = message("MetaGraphDef.MetaInfoDef", { TagsList: [TAG] });
  const metaGraph = message("MetaGraphDef", { MetaInfoDef, GraphDef: graphDef });
  const model = message("SavedModel", { SavedModelSchemaVersion: 1, MetaGraphsList: [metaGraph] });
  return model["serializeBinary"]!() as Uint8Array;
}

const nodeDef = ({ name, operation, inputs, attributes }: GraphNode): Message =>
  message("NodeDef", { Name: name, Op: operation, InputList: inputs, AttrMap: attrValues(attributes) });

function functionDef({ name, inputs, outputs, nodes, attributes }: GraphFunction): Message {
  const argDefs = (list: GraphFunction["inputs"]) =>
    list.map((argument) => message("OpDef.ArgDef", { Name: argument.name, Type: TYPES[argument.type] }));
  const signature = { Name: name, InputArgList: argDefs(inputs), OutputArgList: argDefs(outputs) };
  return message("FunctionDef", {
    Signature: message("OpDef", { ...signature, IsStateful: true }),
    NodeDefList: nodes.map(nodeDef),
    RetMap: new Map(outputs.map((output) => [output.name, output.from])),
    AttrMap: attrValues(attributes),
  });
}

const attrValues = (attributes: GraphNode["attributes"]): Map<string, Message> =>
  new Map(Object.entries(attributes).map(([key, value]) => [key, message("AttrValue", attrValue(value))]));

function attrValue(attribute: Attribute): Record<string, unknown> {
  if ("type" in attribute) return { Type: TYPES[attribute.type] };
  if ("shape" in attribute) return { Shape: shapeOf(attribute.shape) };
  if ("bool" in attribute) return { B: attribute.bool };
  if ("string" in attribute) return { S: Buffer.from(attribute.string) };
  if ("int" in attribute) return { I: attribute.int };
  if ("function" in attribute) return { Func: message("NameAttrList", { Name: attribute.function }) };
  if ("types" in attribute) {
    return { List: message("AttrValue.ListValue", { TypeList: attribute.types.map((type) => TYPES[type]) }) };
  }
  const { values, shape, type } = attribute.tensor;
  const arrays: Partial<Record<string, typeof Float64Array | typeof Float32Array | typeof Int32Array>> = {
    float64: Float64Array,
    float32: Float32Array,
    int32: Int32Array,
  };
  const array = arrays[type] ?? Uint8Array;
  const TensorContent = new Uint8Array(array.from(values).buffer);
  return { Tensor: message("Tensor", { Dtype: TYPES[type], TensorShape: shapeOf(shape), TensorContent }) };
}

const shapeOf = (sizes: readonly number[]): Message =>
  message("TensorShape", { DimList: sizes.map((size) => message("TensorShape.Dim", { Size: size })) });

/** A protocol buffer of TensorFlow's. TensorFlow.js has the classes, without types: `setX`, `setXList`, `getXMap`. */
type Message = Readonly<Record<string, (value?: unknown) => unknown>>;
type Classes = { readonly [name: string]: Classes & (new () => Message) };
const require = createRequire(import.meta.url);

/** Makes a message of a class of tensorflow.proto, such as "GraphDef": its fields, lists, and maps. */
function message(type: string, fields: Readonly<Record<string, unknown>>): Message {
  const classes = require(`${PACKAGE}/dist/proto/api_pb.js`) as Classes;
  const [outer, inner] = type.split(".") as [string, string?];
  const made = new (inner ? classes[outer]![inner]! : classes[outer]!)();
  for (const [field, value] of Object.entries(fields)) {
    if (!(value instanceof Map)) made[`set${field}`]!(value);
    else for (const [key, entry] of value) (made[`get${field}`]!() as typeof value).set(key, entry);
  }
  return made;
}
