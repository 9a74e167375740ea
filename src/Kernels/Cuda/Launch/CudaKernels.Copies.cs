using Krewe.Abstractions;

namespace Krewe.Kernels.Cuda;

public sealed partial class CudaKernels
{
    /// <summary>Bytes of a piece that one thread block copies at least.</summary>
    private const int CopyBytesABlock = 16 * 1024;

    private const int VectorsABlock = 4;

    /// <summary>Copies all pieces in one launch: gather, scatter, or block to block.</summary>
    /// <param name="pieces">[count] <see cref="CopyPiece"/> on the device.</param>
    /// <param name="longestPiece">Bytes, to divide the work.</param>
    public void BlockCopy(CudaStream stream, nint pieces, int count, long longestPiece, nint source, nint target)
    {
        Demand(count > 0 && longestPiece > 0 && longestPiece % 16 == 0, "block_copy", count, (int)longestPiece);
        var split = (int)Math.Clamp((longestPiece + CopyBytesABlock - 1) / CopyBytesABlock, 1, 64);
        _module.Launch(
            "block_copy", new Extent(count, split), new Extent(RowThreads), 0, stream,
            new BlockCopyArguments { Pieces = pieces, Source = source, Target = target },
            $"{count} pieces of up to {longestPiece} bytes");
    }

    /// <summary>Bytes of one block in INT8: codes, then a scale a vector.</summary>
    public static long Int8BlockBytes(in KvGeometry geometry)
    {
        var vectors = 2L * geometry.Layers * geometry.KvHeads * geometry.BlockTokens;
        var bytes = vectors * (geometry.HeadDim + sizeof(float));
        return (bytes + 15) / 16 * 16;
    }

    /// <summary>Blocks of the arena to INT8. Lossy: never behind a request's back.</summary>
    /// <param name="blocks">[count] ints on the device.</param>
    /// <param name="packed">[count] x <see cref="Int8BlockBytes"/>.</param>
    public void KvQuantise(CudaStream stream, nint arena, in KvGeometry geometry, nint blocks, int count, nint packed)
        => ConvertKv("kv_quantise", stream, arena, geometry, blocks, count, packed);

    /// <summary>And back into the arena.</summary>
    public void KvDequantise(CudaStream stream, nint arena, in KvGeometry geometry, nint blocks, int count, nint packed)
        => ConvertKv("kv_dequantise", stream, arena, geometry, blocks, count, packed);

    private void ConvertKv(
        string kernel, CudaStream stream, nint arena, in KvGeometry geometry, nint blocks, int count, nint packed)
    {
        Demand(
            count > 0 && geometry.HeadDim == Options.HeadDim && geometry.Format == Options.Format, kernel, count,
            geometry.HeadDim);
        var vectors = 2 * geometry.Layers * geometry.KvHeads * geometry.BlockTokens;
        _module.Launch(
            kernel, new Extent(LinearPlan.CeilDiv(vectors, VectorsABlock), count), new Extent(VectorsABlock * 32), 0,
            stream,
            new KvInt8Arguments
            {
                Arena = arena,
                Packed = packed,
                Blocks = blocks,
                BlockStride = geometry.BlockBytes,
                PackedStride = Int8BlockBytes(geometry),
                Layers = geometry.Layers,
                KvHeads = geometry.KvHeads,
                BlockTokens = geometry.BlockTokens,
            },
            $"{count} blocks of {geometry}");
    }
}
