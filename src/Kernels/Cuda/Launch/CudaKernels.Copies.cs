namespace Krewe.Kernels.Cuda;

public sealed partial class CudaKernels
{
    /// <summary>Bytes of a piece that one thread block copies at least.</summary>
    private const int CopyBytesABlock = 16 * 1024;

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
}
