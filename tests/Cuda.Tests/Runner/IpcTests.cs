using Google.Protobuf;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Links;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>
/// Blocks that go from one worker's GPU memory to another's, over real data links: by CUDA IPC handles, for which the
/// emulated driver has to be asked, as both ends are in this process; and by file descriptors that a socket hands over.
/// The memory is mapped a second time in either case.
/// </summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class IpcTests : IDisposable
{
    private readonly EmulatedRunner _it = new();
    private readonly int[] _prompt;

    public IpcTests() => _prompt = _it.Prompt("The code of amber is 4821. What is the code of amber?");

    public void Dispose() => _it.Dispose();

    [EmulatedTheory]
    [InlineData(null, CudaKvMemory.Plain)]
    [InlineData(KvFormat.Int8, CudaKvMemory.Plain)]
    [InlineData(null, CudaKvMemory.Virtual)]
    public async Task Layers_arrive_as_they_are_stored_and_nothing_is_left_open(KvFormat? format, CudaKvMemory memory)
    {
        _it.Emulator.AllowOwnHandles();
        var options = Options with { KvMemory = memory };
        var source = _it.Create(options, shareKv: true, kvFormat: format);
        var target = _it.Create(options, shareKv: true, kvFormat: format);
        Assert.Null(source.ShareRefusal);
        // Work memory is taken at the first step.
        new Sequence(source, _prompt, Blocks(source, 3)).Prefill();
        var live = _it.Emulator.Live();
        var (from, to) = (Blocks(source, 1), Blocks(target, 2));
        using (var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared))
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
    [InlineData(CudaKvMemory.Plain, null, 201)]
    [InlineData(CudaKvMemory.Plain, "cuIpcOpenMemHandle", 217)]
    [InlineData(CudaKvMemory.Virtual, "cuMemImportFromShareableHandle", 801)]
    [InlineData(CudaKvMemory.Virtual, "cuMemAddressReserve", 2)]
    [InlineData(CudaKvMemory.Virtual, "cuMemMap", 1)]
    [InlineData(CudaKvMemory.Virtual, "cuMemSetAccess", 101)]
    public async Task Where_memory_cannot_be_opened_blocks_travel_by_the_link_and_the_reason_is_told(
        CudaKvMemory memory, string? call, int status)
    {
        // Without a call that fails: the driver opens no handle of its own process.
        if (call is not null) _it.Emulator.AllowOwnHandles();
        var options = Options with { KvMemory = memory };
        var (source, target) = (_it.Create(options, shareKv: true), _it.Create(options, shareKv: true));
        var live = _it.Emulator.Live();
        _it.Emulator.Fail(call == "cuIpcOpenMemHandle" ? "cuIpcOpenMemHandle_v2" : call ?? "none", 0, status);
        var log = new Told();
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Auto, log);
        Assert.Equal(("TCP", "TCP"), (link.Holder.Kind, link.Puller.Kind));
        Assert.Matches($"{call ?? "cuIpcOpenMemHandle"} failed .*\\({status}\\)", Assert.Single(log.Lines));
        Assert.Equal(live, _it.Emulator.Live());

        Fill(source, 0);
        await link.MoveAsync(source.Kv.Geometry, 0, 9);
        Assert.Equal(Bytes(source, 0), Bytes(target, 9));
    }

    [EmulatedTheory]
    [InlineData(CudaKvMemory.Plain, "cuIpcGetMemHandle", 1)]
    [InlineData(CudaKvMemory.Virtual, "cuMemExportToShareableHandle", 1)]
    [InlineData(CudaKvMemory.Plain, "cuIpcGetMemHandle", 2)]
    [InlineData(CudaKvMemory.Virtual, "cuMemExportToShareableHandle", 2)]
    public async Task What_the_driver_does_not_share_is_not_offered(CudaKvMemory memory, string call, int gpus)
    {
        _it.Emulator.Set(devices: gpus);
        var options = Options with { KvMemory = memory, Devices = [.. Enumerable.Range(0, gpus)] };
        _it.Emulator.Fail(call, gpus - 1, 801);
        var (source, target) = (_it.Create(options, shareKv: true), _it.Create(options, shareKv: true));
        Assert.StartsWith($"{(gpus > 1 ? "rank 1: " : "")}{call} failed", source.ShareRefusal);
        Assert.Contains("(801)", source.ShareRefusal);
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Auto);
        Assert.Equal(("TCP", "TCP"), (link.Holder.Kind, link.Puller.Kind));
    }

    [EmulatedFact]
    public async Task A_copy_that_fails_or_comes_too_late_is_void_and_the_link_goes_on()
    {
        var (source, target) = (_it.Create(shareKv: true), _it.Create(shareKv: true));
        var geometry = source.Kv.Geometry;
        Fill(source, 0, 1);
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared);
        _it.Emulator.Fail("cuLaunchKernel", 0, 1);
        var failed = await Assert.ThrowsAsync<IOException>(() => link.MoveAsync(geometry, 0, 5));
        Assert.Contains("cuLaunchKernel", failed.Message);
        await link.MoveAsync(geometry, 0, 5);
        Assert.Equal(Bytes(source, 0), Bytes(target, 5));
        _it.Emulator.Fail("cuEventSynchronize", 0, 1);
        var lost = await Assert.ThrowsAsync<IOException>(() => link.MoveAsync(geometry, 0, 5));
        Assert.Contains("could not be stored", lost.Message);

        await link.Holder.SendAsync(KvLink.Message, KvLink.Whole(geometry, 1), CancellationToken.None);
        link.Holder.Revoke();
        await Assert.ThrowsAsync<IOException>(
            () => link.Puller.ReceiveAsync((_, _) => KvLink.Whole(geometry, 6), CancellationToken.None));
        // The holder dies: the link ends, and what it had opened stays until the peer lets go.
        link.Holder.Dispose();
        Assert.Null(await link.Puller.ReceiveAsync(CancellationToken.None));
    }

    [EmulatedFact]
    public void A_list_that_does_not_fit_the_memory_is_refused_before_anything_is_copied()
    {
        _it.Emulator.AllowOwnHandles();
        var options = Options with { KvMemory = CudaKvMemory.Plain };
        var (source, target) = (_it.Create(options, shareKv: true), _it.Create(options, shareKv: true));
        var geometry = source.Kv.Geometry;
        var total = (long)source.Kv.BlockCount * geometry.BlockBytes;
        using var peer = TryOpen(target, Offer(source), out var reason);
        Assert.Equal("", reason);
        _it.Emulator.Forget();
        foreach (var (block, start, length) in new[] { (source.Kv.BlockCount, 0, 16), (-1, 0, 16), (0, 8, 16) })
        {
            var list = SliceList.Write([new BlockSlice(new BlockId(block), start, length)], geometry.BlockBytes);
            Assert.Throws<FrameException>(
                () => peer!.CopyIn(list, [new BlockSlice(new BlockId(0), 0, length)]));
        }

        Assert.Empty(_it.Emulator.Calls());
        var live = _it.Emulator.Live();
        Assert.Null(TryOpen(target, new SharedOffer(), out reason));
        Assert.Contains("0 GPUs", reason);
        Assert.Null(TryOpen(target, Offer(source, part => part.IpcHandle = ByteString.CopyFrom(1, 2)), out reason));
        Assert.Contains("64 bytes", reason);
        Assert.Null(TryOpen(target, Offer(source, part => part.IpcHandle = ByteString.Empty), out reason));
        Assert.Contains("0 descriptors came for 1 GPUs' memory", reason);
        Assert.Null(TryOpen(target, Offer(source, part => part.Bytes++), out reason));
        Assert.Contains($"{total} are there", reason);
        Assert.Equal(live, _it.Emulator.Live());

        // The same of a descriptor: what is said to be KV must be in what is mapped, and that in what is there.
        var made = _it.Create(Options with { KvMemory = CudaKvMemory.Virtual }, shareKv: true);
        live = _it.Emulator.Live();
        Assert.Null(TryOpen(target, Offer(made, part => part.Bytes = part.WholeBytes + 1), out reason, made));
        Assert.Contains("bytes of memory are offered, and", reason);
        Assert.Null(TryOpen(target, Offer(made, part => part.WholeBytes *= 2), out reason, made));
        Assert.Contains("cuMemMap", reason);
        Assert.Null(TryOpen(target, Offer(made, part => part.WholeBytes = 0), out reason, made));
        Assert.Equal(live, _it.Emulator.Live());
        using var whole = TryOpen(target, Offer(made), out reason, made);
        Assert.Equal("", reason);
    }

    [EmulatedFact]
    public void Memory_that_the_driver_does_not_take_back_keeps_none_of_the_rest()
    {
        _it.Emulator.Set(devices: 2);
        _it.Emulator.AllowOwnHandles();
        var options = Options with { KvMemory = CudaKvMemory.Plain };
        var source = _it.Create(options with { Devices = [0, 1] }, shareKv: true);
        var target = _it.Create(options, shareKv: true);
        var peer = OpenPeer(target, source, out var reason);
        Assert.Equal("", reason);
        _it.Emulator.Forget();
        _it.Emulator.Fail("cuIpcCloseMemHandle", 0, 1);
        // A timer calls this: an error would end the process.
        peer!.Dispose();
        Assert.Equal(2, _it.Emulator.Calls().Count(call => call == "cuIpcCloseMemHandle"));
    }

    private static SharedOffer Offer(CudaModelRunner holder, Action<DevicePart>? change = null)
    {
        var offer = new SharedOffer();
        offer.Devices.AddRange(((IDeviceKvArena)holder.Kv).Offered.Select(part => part.Clone()));
        foreach (var part in offer.Devices) change?.Invoke(part);
        return offer;
    }

    private static IPeerDevice? TryOpen(
        CudaModelRunner peer, SharedOffer offer, out string reason, CudaModelRunner? files = null) =>
        ((IDeviceKvArena)peer.Kv).TryOpen(
            offer, files is null ? [] : [.. ((IDeviceKvArena)files.Kv).Files], out reason);
}
