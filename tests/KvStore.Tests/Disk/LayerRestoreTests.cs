using System.Collections.Concurrent;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Tests.Fakes;

namespace Krewe.KvStore.Tests.Disk;

public sealed class LayerRestoreTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly FaultyBlockDevice _device = new(new MemoryDevice(new ConcurrentDictionary<string, byte[]>()));

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Layers_arrive_in_order_and_no_further_ahead_than_asked()
    {
        var geometry = Blocks.Aligned;
        var options = Blocks.Options(_directory.Path, geometry);
        await using var store = await SsdObjectStore.OpenAsync(options, _device, TimeProvider.System);
        for (var i = 0; i < 3; i++) await store.PutAsync(i);
        var layout = new SegmentLayout(options);
        var layersRead = new ConcurrentQueue<int>();
        _device.Before = io =>
        {
            layersRead.Enqueue((int)((io.Offset - layout.BodyOffset(0)) % layout.BodyBytes / geometry.LayerBytes));
            return ValueTask.CompletedTask;
        };
        var blocks = Enumerable.Range(0, 3).Select(_ => new byte[geometry.BlockBytes]).ToArray();

        var sources = Enumerable.Range(0, 3).Select(i => store.TryOpenObject(Blocks.Key(i))!).ToArray();
        await using (var restore = LayerRestore.Start(
            sources, geometry.Layers,
            (block, layer, _) => blocks[block].AsMemory(layer * geometry.LayerBytes, geometry.LayerBytes),
            readsAhead: 1))
        {
            Assert.Equal(3, restore.Blocks);
            Assert.Equal([0, 0, 0], layersRead);
            for (var layer = 0; layer < geometry.Layers; layer++)
            {
                Assert.True((await restore.WaitForLayerAsync(layer)).IsHit);
                Assert.Equal(Math.Min(layer + 2, geometry.Layers) * 3, layersRead.Count);
            }
        }

        Assert.Equal(layersRead.Order(), layersRead);
        for (var i = 0; i < 3; i++) Assert.Equal(Blocks.Payload(Blocks.Key(i), geometry), blocks[i]);
        Assert.Empty(store.CheckIntegrity());
    }

    [Fact]
    public async Task A_bad_layer_fails_its_wait_and_every_hold_ends()
    {
        var options = Blocks.Options(_directory.Path, Blocks.Aligned);
        await using var store = await SsdObjectStore.OpenAsync(options, _device, TimeProvider.System);
        await store.PutAsync(0);
        await store.PutAsync(1);
        var wrong = new SegmentLayout(options).BodyOffset(1) + 2 * Blocks.Aligned.LayerBytes;
        _device.AfterRead = (io, bytes) => bytes.Span[9] ^= io.Offset == wrong ? (byte)1 : (byte)0;

        var sources = new[] { store.TryOpenObject(Blocks.Key(0))!, store.TryOpenObject(Blocks.Key(1))! };
        await using (var restore = LayerRestore.Start(
            sources, Blocks.Aligned.Layers, (_, _, _) => new byte[Blocks.Aligned.LayerBytes]))
        {
            Assert.True((await restore.WaitForLayerAsync(1)).IsHit);
            Assert.Equal(ReadOutcome.Corrupt, (await restore.WaitForLayerAsync(2)).Outcome);
            Assert.Equal(1, restore.GoodBlocks);
        }

        Assert.Equal(1, store.Statistics.Objects);
        Assert.Empty(store.CheckIntegrity());
    }

    [Theory]
    [InlineData(3)] // 2 reads of 3 and 1 layers
    [InlineData(9)] // more than there are
    public async Task Small_layers_are_read_together(int layersPerRead)
    {
        var geometry = Blocks.Aligned;
        await using var store = await SsdObjectStore.OpenAsync(
            Blocks.Options(_directory.Path, geometry), _device, TimeProvider.System);
        await store.PutAsync(0);
        var reads = 0;
        _device.Before = _ =>
        {
            reads++;
            return ValueTask.CompletedTask;
        };
        var bytes = new byte[geometry.BlockBytes];

        await using (var restore = LayerRestore.Start(
            [store.TryOpenObject(Blocks.Key(0))!], geometry.Layers,
            (_, first, count) => bytes.AsMemory(first * geometry.LayerBytes, count * geometry.LayerBytes),
            layersPerRead))
        {
            for (var layer = 0; layer < geometry.Layers; layer++)
                Assert.True((await restore.WaitForLayerAsync(layer)).IsHit);
        }

        Assert.Equal((geometry.Layers + layersPerRead - 1) / layersPerRead, reads);
        Assert.Equal(Blocks.Payload(Blocks.Key(0), geometry), bytes);
    }
}
