using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;

namespace Krewe.Workers.Tests;

public sealed class SharedMemoryTests
{
    [Fact]
    public void A_peer_reads_what_the_holder_writes_until_the_fence_falls()
    {
        using var arena = new FakeArena(2, shared: true);
        var memory = arena.Shared!;
        var fence = memory.RaiseFence()!;
        Assert.True(PeerMemory.TryMap(Offer(memory), null, out var peer, out var reason), reason);
        using var mapped = peer!;
        arena[1].Span[^1] = 7;
        Assert.Equal(7, mapped.Slice((2 * arena.Geometry.BlockBytes) - 1, 1)[0]);
        Assert.True(mapped.Stands(fence.Slot, fence.Generation));
        fence.Lower();
        Assert.False(mapped.Stands(fence.Slot, fence.Generation));

        // The next link in the same place has another generation: a late reader is not taken in.
        fence.Return();
        var next = memory.RaiseFence()!;
        Assert.Equal(fence.Slot, next.Slot);
        Assert.False(mapped.Stands(fence.Slot, fence.Generation));
        Assert.True(mapped.Stands(next.Slot, next.Generation));
        fence.Lower();
        Assert.True(mapped.Stands(next.Slot, next.Generation));
    }

    [Fact]
    public void A_mapping_outlives_its_holder()
    {
        var arena = new FakeArena(1, shared: true);
        arena[0].Span[5] = 9;
        Assert.True(PeerMemory.TryMap(Offer(arena.Shared!), null, out var peer, out _));
        arena.Dispose();
        Assert.Equal(9, peer!.Slice(5, 1)[0]);
        peer.Dispose();
    }

    [Fact]
    public void What_is_not_the_offered_memory_is_not_used()
    {
        using var memory = SharedMemory.TryCreate(4096)!;
        using var other = SharedMemory.TryCreate(4096)!;
        Assert.False(PeerMemory.TryMap(Offer(memory, offer => offer.Nonce = Offer(other).Nonce), null, out _, out _));
        Assert.False(PeerMemory.TryMap(Offer(memory, offer => offer.TotalBytes++), null, out _, out _));
        Assert.False(PeerMemory.TryMap(Offer(memory, offer => offer.File = 1 << 20), null, out _, out var reason));
        Assert.Contains("cannot be opened", reason, StringComparison.Ordinal);
        Assert.False(PeerMemory.TryMap(Offer(memory, offer => offer.FenceSlot = uint.MaxValue), null, out _, out _));
        using var file = new TemporaryFile();
        Assert.False(PeerMemory.TryMap(Offer(memory, offer => offer.File = file.Descriptor), null, out _, out _));

        // Positive control: unchanged it is.
        Assert.True(PeerMemory.TryMap(Offer(memory), null, out var peer, out _));
        peer!.Dispose();
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, -1)]
    [InlineData(1 << 20, 1)]
    [InlineData(long.MaxValue, int.MaxValue)]
    public void A_slice_outside_the_memory_is_refused(long offset, int length)
    {
        using var memory = SharedMemory.TryCreate(4096)!;
        Assert.True(PeerMemory.TryMap(Offer(memory), null, out var peer, out _));
        using var mapped = peer!;
        Assert.Throws<FrameException>(() => mapped.Slice(offset, length).Length);
    }

    [Fact]
    public void An_idle_mapping_is_let_go_and_a_used_one_is_not()
    {
        var time = new ManualTime();
        using var memories = new PeerMemories(time);
        var memory = SharedMemory.TryCreate(4096)!;
        var offer = Offer(memory);
        var hold = memories.TryHold(offer, out _)!;
        memory.Dispose();
        time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(0, hold.Memory.Slice(0, 1)[0]);
        hold.Dispose();
        using (memories.TryHold(offer, out _)) { }

        // The holder is gone: once the mapping was dropped nobody can map it any more.
        time.Advance(TimeSpan.FromSeconds(60));
        Assert.Null(memories.TryHold(offer, out _));
    }

    [Fact]
    public void A_later_link_too_is_held_to_the_fences_that_there_are()
    {
        using var memory = SharedMemory.TryCreate(4096)!;
        using var memories = new PeerMemories(TimeProvider.System);
        using var first = memories.TryHold(Offer(memory, offer => offer.FenceSlot = SharedMemory.FencesMax - 1), out _);
        Assert.NotNull(first);
        Assert.Null(memories.TryHold(Offer(memory, offer => offer.FenceSlot = SharedMemory.FencesMax), out var reason));
        Assert.Contains("no fence 4096", reason, StringComparison.Ordinal);
        Assert.Null(memories.TryHold(Offer(memory, offer => offer.FenceSlot = uint.MaxValue), out _));

        // That greeting is refused, not the memory.
        using var next = memories.TryHold(Offer(memory), out reason);
        Assert.True(next is not null, reason);
    }

    [Theory]
    [InlineData(KvTransport.Auto, KvTransport.Auto, "shared memory")]
    [InlineData(KvTransport.Shared, KvTransport.Auto, "shared memory")]
    [InlineData(KvTransport.Auto, KvTransport.Tcp, "TCP")]
    [InlineData(KvTransport.Tcp, KvTransport.Auto, "TCP")]
    [InlineData(KvTransport.Tcp, KvTransport.Shared, null)]
    [InlineData(KvTransport.Shared, KvTransport.Tcp, null)]
    public async Task The_two_ends_agree_on_a_transport(KvTransport holder, KvTransport peer, string? kind)
    {
        using var arena = new FakeArena(4, shared: true);
        using var holding = new TcpBlockTransport(arena, holder, TimeProvider.System);
        using var pulling = new TcpBlockTransport(arena, peer, TimeProvider.System);
        using var listener = holding.Listen("127.0.0.1", 0);
        var address = new DataAddress { WorkerId = "holder", Host = "127.0.0.1", Port = (uint)listener.Port };
        var accepting = AcceptAsync(listener);
        if (kind is null)
        {
            var error = await Assert.ThrowsAsync<IOException>(
                () => pulling.ConnectAsync(address, bytes: 0, CancellationToken.None));
            Assert.Contains("--kv-transport", error.Message, StringComparison.Ordinal);
            await Assert.ThrowsAnyAsync<Exception>(() => accepting);
            return;
        }

        using var puller = await pulling.ConnectAsync(address, bytes: 0, CancellationToken.None);
        using var held = await accepting;
        Assert.Equal((kind, kind), (puller.Kind, held.Kind));
    }

    [Fact]
    public async Task A_copy_after_the_blocks_were_taken_back_is_void()
    {
        using var arena = new FakeArena(4, shared: true);
        using var room = new FakeArena(4, shared: true);
        using var holding = new TcpBlockTransport(arena, KvTransport.Shared, TimeProvider.System);
        using var pulling = new TcpBlockTransport(room, KvTransport.Shared, TimeProvider.System);
        using var listener = holding.Listen("127.0.0.1", 0);
        var address = new DataAddress { WorkerId = "holder", Host = "127.0.0.1", Port = (uint)listener.Port };
        var accepting = AcceptAsync(listener);
        using var puller = await pulling.ConnectAsync(address, bytes: 0, CancellationToken.None);
        using var holder = await accepting;
        arena[2].Span.Fill(3);
        BlockSlice[] payload = [new(new BlockId(2), 0, 100)];
        BlockSlice[] place = [new(new BlockId(1), 28, 100)];
        var message = new DataMessage { Renew = new Renew() };
        await holder.SendAsync(message, payload, CancellationToken.None);
        await puller.ReceiveAsync((_, bytes) => bytes == 100 ? place : throw new FrameException("?"), default);
        Assert.Equal((0, 3, 3, 0), (room[1].Span[27], room[1].Span[28], room[1].Span[127], room[1].Span[128]));

        await holder.SendAsync(message, payload, CancellationToken.None);
        holder.Revoke();
        await Assert.ThrowsAsync<IOException>(() => puller.ReceiveAsync((_, _) => place, default));
    }

    private static async Task<IDataChannel> AcceptAsync(IBlockListener listener)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        return (await (await listener.AcceptAsync(limit.Token)).OpenAsync(limit.Token))!;
    }

    private static SharedOffer Offer(SharedMemory memory, Action<SharedOffer>? change = null)
    {
        var offer = new SharedOffer
        {
            Pid = (uint)Environment.ProcessId,
            File = (uint)memory.Descriptor,
            Nonce = ByteString.CopyFrom(memory.Nonce),
            TotalBytes = (ulong)memory.TotalBytes,
        };
        change?.Invoke(offer);
        return offer;
    }

    private sealed class TemporaryFile : IDisposable
    {
        private readonly FileStream _file = new(
            Path.GetTempFileName(), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, 1,
            FileOptions.DeleteOnClose);

        public uint Descriptor => (uint)_file.SafeFileHandle.DangerousGetHandle();

        public void Dispose() => _file.Dispose();
    }
}
