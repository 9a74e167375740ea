using Krewe.Abstractions;

namespace Krewe.Workers.Tests.Runner;

public sealed class CpuKvArenaTests
{
    private static readonly KvGeometry Geometry = new(Layers: 2, KvHeads: 1, HeadDim: 4, BlockTokens: 16, KvFormat.F16);

    [Fact]
    public void Blocks_are_as_many_as_fit_and_do_not_overlap()
    {
        using var arena = new CpuKvArena(Geometry, (5 * Geometry.BlockBytes) + 7);
        Assert.Equal(5, arena.BlockCount);
        for (var block = 0; block < 5; block++)
        {
            Assert.True(arena.TryGetMemory(new BlockId(block), out var memory));
            Assert.Equal(Geometry.BlockBytes, memory.Length);
            memory.Span.Fill((byte)(block + 1));
        }

        var copy = new byte[Geometry.BlockBytes];
        for (var block = 0; block < 5; block++)
        {
            arena.CopyOut(new BlockId(block), copy);
            Assert.All(copy, value => Assert.Equal(block + 1, value));
        }
    }

    [Fact]
    public void A_block_copied_in_comes_out_the_same()
    {
        using var arena = new CpuKvArena(Geometry, 3 * Geometry.BlockBytes);
        var bytes = new byte[Geometry.BlockBytes];
        new Random(1).NextBytes(bytes);
        arena.CopyIn(new BlockId(1), bytes);
        var copy = new byte[Geometry.BlockBytes];
        arena.CopyOut(new BlockId(1), copy);
        Assert.Equal(bytes, copy);
        Assert.Throws<ArgumentException>(() => arena.CopyIn(new BlockId(1), bytes.AsSpan(1)));
    }

    [Fact]
    public void Memory_too_small_for_one_block_is_refused_with_the_arithmetic()
    {
        var error = Assert.Throws<KreweException>(() => new CpuKvArena(Geometry, Geometry.BlockBytes - 1));
        Assert.Equal(ErrorCode.InvalidOptions, error.Code);
        Assert.Contains($"{Geometry.BlockBytes}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Memory_that_the_machine_does_not_have_is_refused()
    {
        var large = new KvGeometry(Layers: 32, KvHeads: 8, HeadDim: 128, BlockTokens: 16, KvFormat.F16);
        var more = MachineMemory.TotalBytes()!.Value + (2L * large.BlockBytes);

        var error = Assert.Throws<KreweException>(() => new CpuKvArena(large, more));

        Assert.Equal(ErrorCode.InvalidOptions, error.Code);
        Assert.Contains("lower --kv-memory", error.Message, StringComparison.Ordinal);
    }
}
