/// <reference types="vite/client" />

declare module "*?packed" {
  const url: string;
  export default url;
}
