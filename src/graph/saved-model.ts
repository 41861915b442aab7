import { type Attribute, type Graph, type GraphFunction, type GraphNode, TYPES } from "./graph.js";
import { Message } from "./protobuf.js";

/** Tag of the graph in its file. */
export const TAG = "serve";

/** Version of the graph format, one that TensorFlow 2.21 reads without conversions. */
const PRODUCER = 1800;

/**
 * Serialises a graph in TensorFlow's file format, as the content of a saved_model.pb. The fields' numbers are those of
 * TensorFlow's saved_model.proto, meta_graph.proto, graph.proto, function.proto, op_def.proto, attr_value.proto and
 * tensor.proto.
 */
export function savedModel(graph: Graph): Uint8Array {
  const library = new Message().list(1, graph.functions.map(functionDef));
  const versions = new Message().number(1, PRODUCER);
  const graphDef = new Message().list(1, graph.nodes.map(nodeDef)).bytes(2, library).bytes(4, versions);
  const metaInfo = new Message().bytes(4, TAG);
  const metaGraph = new Message().bytes(1, metaInfo).bytes(2, graphDef);
  return new Message().number(1, 1).bytes(2, metaGraph).encode();
}

const nodeDef = ({ name, operation, inputs, attributes }: GraphNode): Message =>
  new Message().bytes(1, name).bytes(2, operation).list(3, inputs).map(5, attrValues(attributes));

function functionDef({ name, inputs, outputs, nodes, attributes }: GraphFunction): Message {
  const argDefs = (list: GraphFunction["inputs"]) =>
    list.map((argument) => new Message().bytes(1, argument.name).number(3, TYPES[argument.type]));
  const signature = new Message()
    .bytes(1, name)
    .list(2, argDefs(inputs))
    .list(3, argDefs(outputs))
    .number(17, true); // is_stateful
  return new Message()
    .bytes(1, signature)
    .list(3, nodes.map(nodeDef))
    .map(
      4,
      outputs.map((output) => [output.name, output.from]),
    )
    .map(5, attrValues(attributes));
}

const attrValues = (attributes: GraphNode["attributes"]): [string, Message][] =>
  Object.entries(attributes).map(([key, value]) => [key, attrValue(value)]);

function attrValue(attribute: Attribute): Message {
  const value = new Message();
  if ("string" in attribute) return value.bytes(2, attribute.string);
  if ("int" in attribute) return value.number(3, attribute.int);
  if ("bool" in attribute) return value.number(5, attribute.bool);
  if ("type" in attribute) return value.number(6, TYPES[attribute.type]);
  if ("shape" in attribute) return value.bytes(7, shapeOf(attribute.shape));
  if ("function" in attribute) return value.bytes(10, new Message().bytes(1, attribute.function));
  if ("types" in attribute) {
    const types = new Message();
    for (const type of attribute.types) types.number(6, TYPES[type]);
    return value.bytes(1, types);
  }
  const { values, shape, type } = attribute.tensor;
  const arrays: Partial<Record<string, typeof Float64Array | typeof Float32Array | typeof Int32Array>> = {
    float64: Float64Array,
    float32: Float32Array,
    int32: Int32Array,
  };
  const array = arrays[type] ?? Uint8Array;
  const content = new Uint8Array(array.from(values).buffer);
  return value.bytes(8, new Message().number(1, TYPES[type]).bytes(2, shapeOf(shape)).bytes(4, content));
}

const shapeOf = (sizes: readonly number[]): Message =>
  new Message().list(
    2,
    sizes.map((size) => new Message().number(1, size)),
  );
