/** Preloaded by a test: every token is text that would turn a terminal red. */
import { Tokenizer } from "../../src/tokenizer/tokenizer.js";

Tokenizer.prototype.decode = () => "\u009b31m";
