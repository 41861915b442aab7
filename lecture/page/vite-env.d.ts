/// <reference types="vite/client" />

declare module "*?packed" {
  const read: () => string;
  export default read;
}
