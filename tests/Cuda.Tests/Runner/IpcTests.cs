using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
using Krewe.Workers;
using Microsoft.Extensions.Logging;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>
/// Blocks that go from one worker's GPU memory to another's by CUDA IPC, over real data links. Both ends are in this
/// process, which the emulated driver has to be asked for; the memory is mapped a second time all the same.
/// </summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class IpcTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public IpcTests() => _prompt = _it.Prompt("The code of amber is 4821. What is the code of amber?");

    public void Dispose() => _it.Dispose();

    [EmulatedTheory]
    [InlineData(null)]
    [InlineData(KvFormat.Int8)]
    public async Task Layers_arrive_as_they_are_stored_and_nothing_is_left_open(KvFormat? format)
    {
        _it.Emulator.AllowOwnHandles();
        var source = _it.Create(shareKv: true, kvFormat: format);
        var target = _it.Create(shareKv: true, kvFormat: format);
        Assert.Null(source.ShareRefusal);
        // Work memory is taken at the first step.
        new Sequence(source, _prompt, Blocks(source, 3)).Prefill();
        var live = _it.Emulator.Live();
        var (from, to) = (Blocks(source, 1), Blocks(target, 2));
        using (var link = await Link.OpenAsync(source.Kv, target.Kv, KvTransport.Shared))
        {
            Assert.Equal(("CUDA IPC", "CUDA IPC"), (link.Holder.Kind, link.Puller.Kind));
            var blocks = (_prompt.Length + 15) / 16;
            var sender = new LayerSender(link, source.Kv.Geometry, from[..blocks], to[..blocks]);
            var batch = new StepBatch { Observer = sender };
            new Sequence(source, _prompt, from).AddTo(batch);
            source.Run(batch);
            Assert.Equal(source.Kv.Geometry.Layers, sender.Layers);
            for (var i = 0; i < blocks; i++) Assert.Equal(Bytes(source, from[i]), Bytes(target, to[i]));
        }

        Assert.Equal(live, _it.Emulator.Live());
    }

    [EmulatedTheory]
    [InlineData(null, 0)]
    [InlineData("cuIpcOpenMemHandle_v2", 217)]
    [InlineData("cuIpcGetMemHandle", 801)]
    public async Task Where_memory_cannot_be_opened_blocks_travel_by_the_link_and_the_reason_is_told(
        string? call, int status)
    {
        // Without a call that fails: the driver opens no handle of its own process.
        if (call is not null) _it.Emulator.AllowOwnHandles();
        if (call is not null) _it.Emulator.Fail(call, 0, status);
        var (source, target) = (_it.Create(shareKv: true), _it.Create(shareKv: true));
        var log = new Told();
        using var link = await Link.OpenAsync(source.Kv, target.Kv, KvTransport.Auto, log);
        Assert.Equal(("TCP", "TCP"), (link.Holder.Kind, link.Puller.Kind));
        if (call == "cuIpcGetMemHandle") Assert.Contains("(801)", source.ShareRefusal);
        else Assert.Contains("cuIpcOpenMemHandle failed", Assert.Single(log.Lines));

        Fill(source, 0);
        await link.MoveAsync(source.Kv.Geometry, 0, 9);
        Assert.Equal(Bytes(source, 0), Bytes(target, 9));
    }

    [EmulatedFact]
    public async Task A_copy_that_fails_or_comes_too_late_is_void_and_the_link_goes_on()
    {
        _it.Emulator.AllowOwnHandles();
        var (source, target) = (_it.Create(shareKv: true), _it.Create(shareKv: true));
        var geometry = source.Kv.Geometry;
        Fill(source, 0, 1);
        using var link = await Link.OpenAsync(source.Kv, target.Kv, KvTransport.Shared);
        _it.Emulator.Fail("cuLaunchKernel", 0, 1);
        var failed = await Assert.ThrowsAsync<IOException>(() => link.MoveAsync(geometry, 0, 5));
        Assert.Contains("cuLaunchKernel", failed.Message);
        await link.MoveAsync(geometry, 0, 5);
        Assert.Equal(Bytes(source, 0), Bytes(target, 5));
        _it.Emulator.Fail("cuEventSynchronize", 0, 1);
        var lost = await Assert.ThrowsAsync<IOException>(() => link.MoveAsync(geometry, 0, 5));
        Assert.Contains("could not be stored", lost.Message);

        await link.Holder.SendAsync(Link.Message, Link.Whole(geometry, 1), CancellationToken.None);
        link.Holder.Revoke();
        await Assert.ThrowsAsync<IOException>(
            () => link.Puller.ReceiveAsync((_, _) => Link.Whole(geometry, 6), CancellationToken.None));
        // The holder dies: the link ends, and what it had opened stays until the peer lets go.
        link.Holder.Dispose();
        Assert.Null(await link.Puller.ReceiveAsync(CancellationToken.None));
    }

    [EmulatedFact]
    public void A_list_that_does_not_fit_the_memory_is_refused_before_anything_is_copied()
    {
        _it.Emulator.AllowOwnHandles();
        var (source, target) = (_it.Create(shareKv: true), _it.Create(shareKv: true));
        var geometry = source.Kv.Geometry;
        var total = (long)source.Kv.BlockCount * geometry.BlockBytes;
        using var peer = ((IDeviceKvArena)target.Kv).TryOpen(
            new SharedOffer
            {
                Device = ByteString.CopyFrom(((IDeviceKvArena)source.Kv).Handle),
                DeviceBytes = (ulong)total,
            },
            out var reason);
        Assert.Equal("", reason);
        _it.Emulator.Forget();
        foreach (var (block, start, length) in new[] { (source.Kv.BlockCount, 0, 16), (-1, 0, 16), (0, 8, 16) })
        {
            var list = SliceList.Write([new BlockSlice(new BlockId(block), start, length)], geometry.BlockBytes);
            Assert.Throws<FrameException>(
                () => peer!.CopyIn(list, [new BlockSlice(new BlockId(0), 0, length)]));
        }

        Assert.Empty(_it.Emulator.Calls());
        Assert.Null(((IDeviceKvArena)target.Kv).TryOpen(new SharedOffer { Device = ByteString.Empty }, out reason));
        Assert.Contains("64 bytes", reason);
        var live = _it.Emulator.Live();
        Assert.Null(((IDeviceKvArena)target.Kv).TryOpen(
            new SharedOffer
            {
                Device = ByteString.CopyFrom(((IDeviceKvArena)source.Kv).Handle),
                DeviceBytes = (ulong)total + 1,
            },
            out reason));
        Assert.Contains($"{total} are there", reason);
        Assert.Equal(live, _it.Emulator.Live());
    }

    /// <summary>Sends each layer in the middle of the step that computes it.</summary>
    private sealed class LayerSender(Link link, Krewe.Abstractions.KvGeometry geometry, int[] from, int[] to)
        : ILayerObserver
    {
        public int Layers { get; private set; }

        public void LayerStored(int layer)
        {
            Layers++;
            Task.Run(() => link.MoveAsync(Slices(from, layer), Slices(to, layer))).GetAwaiter().GetResult();
        }

        private BlockSlice[] Slices(int[] blocks, int layer) => Array.ConvertAll(
            blocks, block => new BlockSlice(new BlockId(block), layer * geometry.LayerBytes, geometry.LayerBytes));
    }

    private sealed class Link : IDisposable
    {
        private readonly TcpBlockTransport _holding;
        private readonly TcpBlockTransport _pulling;
        private readonly IBlockListener _listener;

        private Link(TcpBlockTransport holding, TcpBlockTransport pulling)
        {
            (_holding, _pulling) = (holding, pulling);
            _listener = holding.Listen("127.0.0.1", 0);
        }

        public static DataMessage Message { get; } = new() { Renew = new Renew() };

        public IDataChannel Holder { get; private set; } = null!;

        public IDataChannel Puller { get; private set; } = null!;

        public static async Task<Link> OpenAsync(
            IKvArena source, IKvArena target, KvTransport choice, ILogger? logger = null)
        {
            var link = new Link(
                new TcpBlockTransport(source, choice, TimeProvider.System),
                new TcpBlockTransport(target, choice, TimeProvider.System, logger: logger));
            var accepting = link.AcceptAsync();
            link.Puller = await link._pulling.ConnectAsync(
                new DataAddress { WorkerId = "holder", Host = "127.0.0.1", Port = (uint)link._listener.Port },
                bytes: 0, CancellationToken.None);
            link.Holder = await accepting;
            return link;
        }

        public static BlockSlice[] Whole(Krewe.Abstractions.KvGeometry geometry, int block) =>
            [new BlockSlice(new BlockId(block), 0, geometry.BlockBytes)];

        public Task MoveAsync(Krewe.Abstractions.KvGeometry geometry, int from, int to) =>
            MoveAsync(Whole(geometry, from), Whole(geometry, to));

        public async Task MoveAsync(BlockSlice[] payload, BlockSlice[] place)
        {
            await Holder.SendAsync(Message, payload, CancellationToken.None);
            await Puller.ReceiveAsync((_, _) => place, CancellationToken.None);
        }

        public void Dispose()
        {
            Puller.Dispose();
            Holder.Dispose();
            _listener.Dispose();
            _pulling.Dispose();
            _holding.Dispose();
        }

        private async Task<IDataChannel> AcceptAsync()
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
            return (await (await _listener.AcceptAsync(limit.Token)).OpenAsync(limit.Token))!;
        }
    }

    private sealed class Told : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Lines.Add(formatter(state, exception));
    }
}
