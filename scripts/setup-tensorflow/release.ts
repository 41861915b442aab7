import type { Device } from "../../src/backend/backend.js";

/** The pinned versions that are installed. */
export interface Release {
  readonly tensorflow: string;
  readonly tfjs: string;
  /** In pip's format, by device, system and CPU architecture: see `wheelName`. PyPI has no CUDA build for arm64. */
  readonly wheels: Readonly<Record<string, string>>;
  /** The oldest glibc that the wheels support, and the oldest driver that supports CUDA 12. */
  readonly glibc: string;
  readonly driver: string;
  /** NVIDIA's libraries for CUDA 12 that TensorFlow opens, in pip's requirements format. */
  readonly cudaRequirements: readonly string[];
}

/** Name of a wheel in `Release.wheels`: "cpu-darwin-arm64". */
export const wheelName = (device: Device, { platform, arch }: { platform: string; arch: string }): string =>
  `${device}-${platform}-${arch}`;

/** The release that is installed. Python is not used afterwards. */
export const RELEASE: Release = {
  tensorflow: "2.21.0",
  tfjs: "4.22.0",
  wheels: {
    "cpu-linux-x64":
      "tensorflow-cpu==2.21.0 --hash=sha256:2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
    "cuda-linux-x64":
      "tensorflow==2.21.0 --hash=sha256:9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124",
    "cpu-linux-arm64":
      "tensorflow==2.21.0 --hash=sha256:4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c",
    "cpu-darwin-arm64":
      "tensorflow==2.21.0 --hash=sha256:51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88",
  },
  glibc: "2.27",
  driver: "525.60.13",
  cudaRequirements: [
    "nvidia-cublas-cu12==12.9.3.13 --hash=sha256:d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72",
    "nvidia-cuda-cupti-cu12==12.8.90 --hash=sha256:ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182",
    "nvidia-cuda-nvrtc-cu12==12.9.86 --hash=sha256:210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
    "nvidia-cuda-runtime-cu12==12.9.79 --hash=sha256:25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
    "nvidia-cudnn-cu12==9.28.0.42 --hash=sha256:9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375",
    "nvidia-cufft-cu12==11.4.1.4 --hash=sha256:c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28",
    "nvidia-cusolver-cu12==11.7.5.82 --hash=sha256:15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88",
    "nvidia-cusparse-cu12==12.5.10.65 --hash=sha256:73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78",
    "nvidia-nvjitlink-cu12==12.9.86 --hash=sha256:e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9",
  ],
};
