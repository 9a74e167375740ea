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

    /// <summary>CRC-32C of pieces that lie one after the other.</summary>
    /// <param name="bytes">Of each piece, a multiple of 16.</param>
    /// <param name="checksums">[pieces] ints.</param>
    public void Crc32C(CudaStream stream, nint memory, int pieces, long bytes, nint checksums)
    {
        Demand(pieces > 0 && bytes > 0 && bytes % 16 == 0 && memory % 16 == 0, "crc32c", pieces, (int)bytes);
        _module.Launch(
            "crc32c", new Extent(pieces), new Extent(RowThreads), 0, stream,
            new Crc32cArguments { Memory = memory, Checksums = checksums, Bytes = bytes },
            $"{pieces} pieces of {bytes} bytes");
    }
}
