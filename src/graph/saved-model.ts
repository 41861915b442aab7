import {
  type Attribute,
  type Graph,
  type GraphFunction,
  type GraphNode,
  type NodeType,
  TYPES,
} from "./graph.js";
import {
  type AttrValue,
  type FunctionDef,
  type NodeDef,
  type Protocol,
  protocolBuffers,
  type Shape,
} from "./protocol-buffers.js";

/** What a graph is tagged with in its file. */
export const TAG = "serve";

/** The version of the graph format; TensorFlow 2.21 knows those up to 2,000-odd, and refuses none this recent. */
const PRODUCER = 1800;

/** A graph in TensorFlow's file format: the content of a saved_model.pb. */
export function savedModel(graph: Graph): Uint8Array {
  const protocol = protocolBuffers();
  const definition = new protocol.GraphDef();
  for (const node of graph.nodes) definition.addNode(nodeDef(protocol, node));
  const library = new protocol.FunctionDefLibrary();
  for (const one of graph.functions) library.addFunction(functionDef(protocol, one));
  definition.setLibrary(library);
  const versions = new protocol.VersionDef();
  versions.setProducer(PRODUCER);
  definition.setVersions(versions);
  const info = new protocol.MetaGraphDef.MetaInfoDef();
  info.addTags(TAG);
  const meta = new protocol.MetaGraphDef();
  meta.setMetaInfoDef(info);
  meta.setGraphDef(definition);
  const model = new protocol.SavedModel();
  model.setSavedModelSchemaVersion(1);
  model.addMetaGraphs(meta);
  return model.serializeBinary();
}

function nodeDef(protocol: Protocol, { name, operation, inputs, attributes }: GraphNode): NodeDef {
  const node = new protocol.NodeDef();
  node.setName(name);
  node.setOp(operation);
  for (const input of inputs) node.addInput(input);
  const map = node.getAttrMap();
  for (const [key, attribute] of Object.entries(attributes)) map.set(key, attrValue(protocol, attribute));
  return node;
}

function functionDef(
  protocol: Protocol,
  { name, inputs, outputs, nodes, attributes }: GraphFunction,
): FunctionDef {
  const argDef = ({ name: argument, type }: { name: string; type: NodeType }) => {
    const definition = new protocol.OpDef.ArgDef();
    definition.setName(argument);
    definition.setType(TYPES[type]);
    return definition;
  };
  const signature = new protocol.OpDef();
  signature.setName(name);
  signature.setIsStateful(true);
  for (const input of inputs) signature.addInputArg(argDef(input));
  for (const output of outputs) signature.addOutputArg(argDef(output));
  const definition = new protocol.FunctionDef();
  definition.setSignature(signature);
  for (const node of nodes) definition.addNodeDef(nodeDef(protocol, node));
  for (const output of outputs) definition.getRetMap().set(output.name, output.from);
  for (const [key, attribute] of Object.entries(attributes))
    definition.getAttrMap().set(key, attrValue(protocol, attribute));
  return definition;
}

function attrValue(protocol: Protocol, attribute: Attribute): AttrValue {
  const value = new protocol.AttrValue();
  if ("type" in attribute) value.setType(TYPES[attribute.type]);
  else if ("shape" in attribute) value.setShape(shapeOf(protocol, attribute.shape));
  else if ("bool" in attribute) value.setB(attribute.bool);
  else if ("text" in attribute) value.setS(Buffer.from(attribute.text));
  else if ("count" in attribute) value.setI(attribute.count);
  else {
    const { values, shape, type } = attribute.tensor;
    const numbers = type === "float32" ? Float32Array.from(values) : type === "int32" ? Int32Array.from(values) : Uint8Array.from(values); // prettier-ignore
    const tensor = new protocol.Tensor();
    tensor.setDtype(TYPES[type]);
    tensor.setTensorShape(shapeOf(protocol, shape));
    tensor.setTensorContent(new Uint8Array(numbers.buffer));
    value.setTensor(tensor);
  }
  return value;
}

function shapeOf(protocol: Protocol, sizes: readonly number[]): Shape {
  const shape = new protocol.TensorShape();
  for (const size of sizes) {
    const dim = new protocol.TensorShape.Dim();
    dim.setSize(size);
    shape.addDim(dim);
  }
  return shape;
}
