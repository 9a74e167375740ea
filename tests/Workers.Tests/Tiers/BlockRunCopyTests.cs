using Krewe.Abstractions;
using Krewe.Control.Kv;
using Krewe.KvStore;
using Krewe.KvStore.Host;
using Microsoft.Extensions.Logging.Abstractions;

namespace Krewe.Workers.Tests;

/// <summary>A sequence's blocks leave and return in as many copies as there are runs of neighbours.</summary>
public sealed class BlockRunCopyTests
{
    private static readonly KvGeometry Geometry = new(4, 2, 64, 16, KvFormat.BF16);

    [Fact]
    public async Task Blocks_side_by_side_leave_and_return_in_one_copy()
    {
        await using var bench = await Bench.OpenAsync();
        int[] from = [.. Enumerable.Range(7, 20)];
        Assert.Equal(1, bench.Spill(from));
        Assert.Equal((1, 20), await bench.RestoreAsync([.. Enumerable.Range(40, 20)]));
    }

    /// <summary>The control: the same blocks scattered, as an allocator that looks at nothing leaves them.</summary>
    [Fact]
    public async Task Scattered_blocks_take_a_copy_each()
    {
        await using var bench = await Bench.OpenAsync();
        int[] from = [.. Enumerable.Range(0, 20).Select(i => i * 2)];
        Assert.Equal(20, bench.Spill(from));
        Assert.Equal((20, 20), await bench.RestoreAsync([.. Enumerable.Range(0, 20).Select(i => 63 - (i * 3))]));
    }

    [Fact]
    public async Task A_gap_costs_one_copy_more_and_a_clean_copy_is_not_written_twice()
    {
        await using var bench = await Bench.OpenAsync();
        int[] from = [.. Enumerable.Range(0, 10), .. Enumerable.Range(30, 10)];
        Assert.Equal(2, bench.Spill(from));
        Assert.Equal(0, bench.Spill(from));
        Assert.Equal(20, bench.Tiers.Store.Host.Statistics.Stored);
        Assert.Equal((2, 20), await bench.RestoreAsync([.. Enumerable.Range(11, 3), .. Enumerable.Range(45, 17)]));
    }

    private sealed class Bench(CpuKvArena arena, KvTiers tiers) : IAsyncDisposable
    {
        public KvTiers Tiers => tiers;

        public static async Task<Bench> OpenAsync()
        {
            var arena = new CpuKvArena(Geometry, 64L * Geometry.BlockBytes);
            var store = await TieredStore.CreateAsync(new HostTier(Geometry, 64L * Geometry.BlockBytes), null);
            return new Bench(arena, new KvTiers(
                store, arena, checkpoints: false, hostIsBuffer: false, TimeProvider.System, NullLogger.Instance));
        }

        public async ValueTask DisposeAsync()
        {
            await tiers.DisposeAsync();
            arena.Dispose();
        }

        public int Spill(int[] blocks)
        {
            for (var i = 0; i < blocks.Length; i++) Bytes(blocks[i]).Fill((byte)(i + 1));
            var isBelow = new bool[blocks.Length];
            var copies = tiers.SpillAll(Hashes(blocks.Length), blocks, new float[blocks.Length], isBelow);
            Assert.DoesNotContain(false, isBelow);
            foreach (var block in blocks) Bytes(block).Clear();
            return copies;
        }

        public async Task<(int Copies, int Good)> RestoreAsync(int[] blocks)
        {
            var restore = tiers.TryRestore(Hashes(blocks.Length), blocks, 0, TimeSpan.FromSeconds(1))!;
            await restore.Completion.WaitAsync(TimeSpan.FromMinutes(2));
            for (var i = 0; i < blocks.Length; i++) Assert.Equal(-1, Bytes(blocks[i]).IndexOfAnyExcept((byte)(i + 1)));
            return (restore.Copies, restore.GoodBlocks);
        }

        private Span<byte> Bytes(int block)
        {
            Assert.True(arena.TryGetMemory(new BlockId(block), out var bytes));
            return bytes.Span;
        }

        private static PrefixHash[] Hashes(int count) =>
            [.. Enumerable.Range(1, count).Select(i => new PrefixHash((UInt128)(ulong)i))];
    }
}
