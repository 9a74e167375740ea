using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Krewe.Models;

/// <summary>
/// One weight inside a memory-mapped checkpoint: row-major, little-endian, read-only. Valid only while its
/// <see cref="Checkpoint"/> is open; <see cref="Data"/> need not be aligned to the element size.
/// </summary>
public readonly unsafe struct Tensor
{
    internal Tensor(string name, DType type, int[] shape, byte* data, long elementCount)
    {
        (Name, Type, Shape, ElementCount) = (name, type, shape, elementCount);
        Data = data;
    }

    public string Name { get; }

    public DType Type { get; }

    /// <summary>Extents, slowest first: a projection is [outputs, inputs].</summary>
    public IReadOnlyList<int> Shape { get; }

    public byte* Data { get; }

    public long ElementCount { get; }

    public long ByteCount => ElementCount * BytesPerElement;

    public int BytesPerElement => Type == DType.F32 ? 4 : 2;

    /// <summary>Converts <c>destination.Length</c> elements, starting at <paramref name="elementOffset"/>, to float.
    /// The conversion is exact for every type.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the tensor.</exception>
    public void CopyTo(Span<float> destination, long elementOffset = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(elementOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(elementOffset, ElementCount - destination.Length);
        var source = Data + elementOffset * BytesPerElement;
        switch (Type)
        {
            case DType.F32:
                new ReadOnlySpan<byte>(source,
                    checked(destination.Length * 4)).CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case DType.F16:
                TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>(source, destination.Length), destination);
                break;
            default:
                WidenBrainFloats((ushort*)source, destination);
                break;
        }
    }

    private static void WidenBrainFloats(ushort* source, Span<float> destination)
    {
        var i = 0;
        fixed (float* target = destination)
        {
            for (; i <= destination.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
            {
                var (low, high) = Vector256.Widen(Vector256.Load(source + i));
                Vector256.ShiftLeft(low, 16).AsSingle().Store(target + i);
                Vector256.ShiftLeft(high, 16).AsSingle().Store(target + i + Vector256<float>.Count);
            }

            for (; i < destination.Length; i++)
                target[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
        }
    }
}
