import { createRequire } from "node:module";
import { PACKAGE } from "../tensorflow.js";
import { type Attribute, type Graph, type GraphNode, TYPES } from "./graph.js";

/* The part of TensorFlow's protocol buffers that is used here; TensorFlow.js has the classes without their types. */
interface Message {
  serializeBinary(): Uint8Array;
}
interface Shape extends Message {
  addDim(dim: Dim): void;
}
interface Dim extends Message {
  setSize(size: number): void;
}
interface TensorProto extends Message {
  setDtype(type: number): void;
  setTensorShape(shape: Shape): void;
  setTensorContent(bytes: Uint8Array): void;
}
interface AttrValue extends Message {
  setType(type: number): void;
  setShape(shape: Shape): void;
  setB(value: boolean): void;
  setS(bytes: Uint8Array): void;
  setI(value: number): void;
  setTensor(tensor: TensorProto): void;
}
interface NodeDef extends Message {
  setName(name: string): void;
  setOp(operation: string): void;
  addInput(name: string): void;
  getAttrMap(): { set(name: string, value: AttrValue): void };
}
interface GraphDef extends Message {
  addNode(node: NodeDef): void;
  setVersions(versions: VersionDef): void;
}
interface VersionDef extends Message {
  setProducer(version: number): void;
}
interface MetaGraphDef extends Message {
  setMetaInfoDef(info: MetaInfoDef): void;
  setGraphDef(graph: GraphDef): void;
}
interface MetaInfoDef extends Message {
  addTags(tag: string): void;
}
interface SavedModel extends Message {
  setSavedModelSchemaVersion(version: number): void;
  addMetaGraphs(graph: MetaGraphDef): void;
}
interface Protocol {
  readonly TensorShape: { new (): Shape; readonly Dim: new () => Dim };
  readonly Tensor: new () => TensorProto;
  readonly AttrValue: new () => AttrValue;
  readonly NodeDef: new () => NodeDef;
  readonly GraphDef: new () => GraphDef;
  readonly VersionDef: new () => VersionDef;
  readonly MetaGraphDef: { new (): MetaGraphDef; readonly MetaInfoDef: new () => MetaInfoDef };
  readonly SavedModel: new () => SavedModel;
}

/** What a graph is tagged with in its file. */
export const TAG = "serve";

/** The version of the graph format; TensorFlow 2.21 knows those up to 2,000-odd, and refuses none this recent. */
const PRODUCER = 1800;

/** A graph in TensorFlow's file format: the content of a saved_model.pb. */
export function savedModel(graph: Graph): Uint8Array {
  const protocol = createRequire(import.meta.url)(`${PACKAGE}/dist/proto/api_pb.js`) as Protocol;
  const definition = new protocol.GraphDef();
  for (const node of graph.nodes) definition.addNode(nodeDef(protocol, node));
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
