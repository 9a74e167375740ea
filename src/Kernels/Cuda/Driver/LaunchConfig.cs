using System.Runtime.InteropServices;

namespace Krewe.Kernels.Cuda;

/// <summary>NVIDIA's CUlaunchConfig.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct LaunchConfig
{
    public uint GridX;
    public uint GridY;
    public uint GridZ;
    public uint BlockX;
    public uint BlockY;
    public uint BlockZ;
    public uint SharedBytes;
    public nint Stream;
    public LaunchAttribute* Attributes;
    public uint AttributeCount;
}

/// <summary>NVIDIA's CUlaunchAttribute: which, and a union of 64 bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct LaunchAttribute
{
    /// <summary>CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: the grid may begin before the one before it in
    /// the stream has ended, and waits for it by itself.</summary>
    public const int ProgrammaticSerialization = 6;

    [FieldOffset(0)]
    public int Kind;

    [FieldOffset(8)]
    public int Value;
}
