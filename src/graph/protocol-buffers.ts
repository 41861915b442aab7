import { createRequire } from "node:module";
import { PACKAGE } from "../backend/tensorflow.js";

/* The messages that are used here; TensorFlow.js has the classes without their types. */
interface Message {
  serializeBinary(): Uint8Array;
}
/** The sizes of a tensor's dimensions. */
export interface Shape extends Message {
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
/** A value that an operation is made with. */
export interface AttrValue extends Message {
  setType(type: number): void;
  setShape(shape: Shape): void;
  setB(value: boolean): void;
  setS(bytes: Uint8Array): void;
  setI(value: number): void;
  setTensor(tensor: TensorProto): void;
}
interface ArgDef extends Message {
  setName(name: string): void;
  setType(type: number): void;
}
interface OpDef extends Message {
  setName(name: string): void;
  setIsStateful(stateful: boolean): void;
  addInputArg(argument: ArgDef): void;
  addOutputArg(argument: ArgDef): void;
}
/** A function: its signature, its nodes, and which of these it returns. */
export interface FunctionDef extends Message {
  setSignature(signature: OpDef): void;
  addNodeDef(node: NodeDef): void;
  getRetMap(): { set(name: string, from: string): void };
  getAttrMap(): { set(name: string, value: AttrValue): void };
}
interface FunctionDefLibrary extends Message {
  addFunction(definition: FunctionDef): void;
}
/** An operation of a graph. */
export interface NodeDef extends Message {
  setName(name: string): void;
  setOp(operation: string): void;
  addInput(name: string): void;
  getAttrMap(): { set(name: string, value: AttrValue): void };
}
interface GraphDef extends Message {
  addNode(node: NodeDef): void;
  setVersions(versions: VersionDef): void;
  setLibrary(library: FunctionDefLibrary): void;
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
/** The classes of the messages. */
export interface Protocol {
  readonly TensorShape: { new (): Shape; readonly Dim: new () => Dim };
  readonly Tensor: new () => TensorProto;
  readonly AttrValue: new () => AttrValue;
  readonly OpDef: { new (): OpDef; readonly ArgDef: new () => ArgDef };
  readonly FunctionDef: new () => FunctionDef;
  readonly FunctionDefLibrary: new () => FunctionDefLibrary;
  readonly NodeDef: new () => NodeDef;
  readonly GraphDef: new () => GraphDef;
  readonly VersionDef: new () => VersionDef;
  readonly MetaGraphDef: { new (): MetaGraphDef; readonly MetaInfoDef: new () => MetaInfoDef };
  readonly SavedModel: new () => SavedModel;
}

/** TensorFlow's protocol buffers, out of its Node package. */
export const protocolBuffers = (): Protocol =>
  createRequire(import.meta.url)(`${PACKAGE}/dist/proto/api_pb.js`) as Protocol;
