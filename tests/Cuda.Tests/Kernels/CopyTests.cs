using Krewe.Abstractions;
using Krewe.Kernels.Cuda;

namespace Krewe.Cuda.Tests.Kernels;

/// <summary>Copies of many pieces at once.</summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class CopyTests : IDisposable
{
    private readonly Gpu _gpu = new();
    private readonly Random _random = new(8);

    public void Dispose() => _gpu.Dispose();

    [EmulatedFact]
    public void Blocks_are_gathered_and_scattered_and_nothing_else_is_touched()
    {
        const int Block = 16 * 1100;
        var arena = new byte[9 * Block];
        _random.NextBytes(arena);
        int[] blocks = [7, 0, 3, 5];
        var source = _gpu.Upload(arena);
        var packed = _gpu.Poisoned<byte>(blocks.Length * Block);
        var target = _gpu.Poisoned<byte>(arena.Length);
        CopyPiece[] gather = [.. blocks.Select((block, i) => new CopyPiece(block * Block, i * Block, Block))];
        CopyPiece[] scatter = [.. blocks.Select((block, i) => new CopyPiece(i * Block, block * Block, Block - 16))];

        _gpu.Kernels().BlockCopy(_gpu.Stream, _gpu.Upload(gather), gather.Length, Block, source, packed);
        _gpu.Kernels().BlockCopy(_gpu.Stream, _gpu.Upload(scatter), scatter.Length, Block, packed, target);

        var gathered = _gpu.Download<byte>(packed, blocks.Length * Block);
        var scattered = _gpu.Download<byte>(target, arena.Length);
        var expected = new byte[arena.Length];
        expected.AsSpan().Fill(0xff);
        for (var i = 0; i < blocks.Length; i++)
        {
            Assert.True(arena.AsSpan(blocks[i] * Block, Block).SequenceEqual(gathered.AsSpan(i * Block, Block)));
            arena.AsSpan(blocks[i] * Block, Block - 16).CopyTo(expected.AsSpan(blocks[i] * Block));
        }

        Assert.True(expected.AsSpan().SequenceEqual(scattered));
    }

    [EmulatedTheory]
    [InlineData(16, 1)]
    [InlineData(16 * 255, 3)]
    [InlineData(16 * 1031, 5)]
    public void Checksums_are_the_CPUs(int bytes, int pieces)
    {
        var memory = new byte[pieces * bytes];
        _random.NextBytes(memory);
        var checksums = _gpu.Poisoned<uint>(pieces);
        _gpu.Kernels().Crc32C(_gpu.Stream, _gpu.Upload(memory), pieces, bytes, checksums);

        Assert.Equal(memory.Chunk(bytes).Select(piece => Crc32C.Compute(piece)), _gpu.Download<uint>(checksums, pieces));
    }
}
