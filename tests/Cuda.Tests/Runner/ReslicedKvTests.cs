using Krewe.Abstractions;
using Krewe.Workers;
using static Krewe.Cuda.Tests.Runner.EmulatedRunner;
using Sequence = Krewe.Workers.Tests.Runner.Sequence;

namespace Krewe.Cuda.Tests.Runner;

/// <summary>
/// Blocks from GPU to GPU between workers of different numbers of GPUs: each keeps some heads of every block, and the
/// copy divides them anew.
/// </summary>
[Collection(EmulatedGpuDefinition.Name)]
public sealed class ReslicedKvTests : IDisposable
{
    private readonly EmulatedRunner _it = new();

    public ReslicedKvTests()
    {
        _it.Emulator.Set(devices: 2);
        _it.Emulator.AllowOwnHandles();
    }

    public void Dispose() => _it.Dispose();

    [EmulatedTheory]
    [InlineData(1, 1, CudaKvMemory.Virtual, null)]
    [InlineData(2, 2, CudaKvMemory.Virtual, null)]
    [InlineData(2, 1, CudaKvMemory.Virtual, null)]
    [InlineData(1, 2, CudaKvMemory.Virtual, null)]
    [InlineData(2, 2, CudaKvMemory.Plain, null)]
    [InlineData(2, 1, CudaKvMemory.Plain, null)]
    [InlineData(1, 2, CudaKvMemory.Plain, null)]
    [InlineData(2, 1, CudaKvMemory.Virtual, KvFormat.Int8)]
    [InlineData(1, 2, CudaKvMemory.Virtual, KvFormat.Int8)]
    public async Task Heads_are_divided_anew_with_one_launch_a_piece_and_GPU(
        int holders, int pullers, CudaKvMemory memory, KvFormat? format)
    {
        var source = Create(holders, memory, format);
        var target = Create(pullers, memory, format);
        Assert.Null(source.ShareRefusal);
        var (live, geometry) = (_it.Emulator.Live(), source.Kv.Geometry);
        Assert.Equal(geometry, target.Kv.Geometry);
        var (from, to) = (Blocks(source, 1)[..5], Blocks(target, 2)[..5]);
        Fill(source, from);
        Fill(target, Blocks(target, 2)[..6]);
        Assert.NotEqual(Bytes(source, from[0]), Bytes(target, to[0]));
        var untouched = Bytes(target, Blocks(target, 2)[5]);
        using (var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared))
        {
            Assert.Equal(("CUDA IPC", "CUDA IPC"), (link.Holder.Kind, link.Puller.Kind));
            // A layer in the middle of all blocks; then, of what is new, whole blocks.
            await link.MoveAsync(Layers(from, 1, 1), Layers(to, 1, 1));
            Assert.Equal(
                Bytes(source, from[3]).AsSpan(geometry.LayerBytes, geometry.LayerBytes),
                Bytes(target, to[3]).AsSpan(geometry.LayerBytes, geometry.LayerBytes));
            Assert.NotEqual(Bytes(source, from[3]), Bytes(target, to[3]));
            _it.Emulator.Forget();
            await link.MoveAsync(Layers(from, 0, geometry.Layers), Layers(to, 0, geometry.Layers));
            Assert.Equal(pullers, _it.Emulator.Calls().Count(call => call == "launch block_copy"));
            for (var i = 0; i < from.Length; i++) Assert.Equal(Bytes(source, from[i]), Bytes(target, to[i]));
            Assert.Equal(untouched, Bytes(target, Blocks(target, 2)[5]));
        }

        Assert.Equal(live, _it.Emulator.Live());

        BlockSlice[] Layers(int[] blocks, int first, int count) => Array.ConvertAll(
            blocks, block => new BlockSlice(
                new BlockId(block), first * geometry.LayerBytes, count * geometry.LayerBytes));
    }

    [EmulatedTheory]
    [InlineData(2, 1)]
    [InlineData(1, 2)]
    public async Task What_one_computed_the_other_goes_on_from(int holders, int pullers)
    {
        var prompt = _it.Prompt("The code of amber is 4821. What is the code of amber?");
        var (source, target) = (Create(holders), Create(pullers));
        var first = new Sequence(source, prompt, Blocks(source, 1));
        var expected = first.Prefill();
        var blocks = (prompt.Length + 15) / 16;
        var (from, to) = (Blocks(source, 1), Blocks(target, 2));
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared);
        for (var i = 0; i < blocks; i++) await link.MoveAsync(source.Kv.Geometry, from[i], to[i]);
        // The same blocks by way of the host, as it was before.
        var byHost = new Sequence(target, prompt, Blocks(target, 3)[..blocks]);
        byHost.TakeKvFrom(first);
        for (var i = 0; i < blocks; i++) Assert.Equal(Bytes(target, Blocks(target, 3)[i]), Bytes(target, to[i]));
        Assert.NotEmpty(expected);
    }

    [EmulatedTheory]
    [InlineData(CudaKvMemory.Plain)]
    [InlineData(CudaKvMemory.Virtual)]
    public async Task Without_peer_access_each_rank_says_what_it_cannot_open(CudaKvMemory memory)
    {
        var (source, target) = (Create(2, memory), Create(1, memory));
        var live = _it.Emulator.Live();
        _it.Emulator.Have(peers: false);
        var log = new Told();
        using (var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Auto, log))
        {
            Assert.Equal(("TCP", "TCP"), (link.Holder.Kind, link.Puller.Kind));
            Assert.Contains(
                "rank 0 cannot open the memory of rank 1: GPU 0 has no peer access to GPU 1.",
                Assert.Single(log.Lines));
            Fill(source, 4);
            await link.MoveAsync(source.Kv.Geometry, 4, 9);
            Assert.Equal(Bytes(source, 4), Bytes(target, 9));
        }

        // What could be opened was closed again.
        Assert.Equal(live, _it.Emulator.Live());
        // Two and two need no way between the GPUs: each has a neighbour of its own heads on its own GPU.
        var other = Create(2, memory);
        using var peers = OpenPeer(other, source, out var reason);
        Assert.Equal("", reason);
    }

    [EmulatedFact]
    public async Task A_copy_that_fails_on_one_GPU_is_void_and_the_link_goes_on()
    {
        var (source, target) = (Create(1), Create(2));
        Fill(source, 0);
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared);
        for (var rank = 0; rank < 2; rank++)
        {
            _it.Emulator.Fail("cuLaunchKernel", rank, 1);
            var failed = await Assert.ThrowsAsync<IOException>(() => link.MoveAsync(source.Kv.Geometry, 0, 5));
            Assert.Contains("cuLaunchKernel", failed.Message);
        }

        await link.MoveAsync(source.Kv.Geometry, 0, 5);
        Assert.Equal(Bytes(source, 0), Bytes(target, 5));
    }

    /// <summary>All ranks have marked a layer before anybody is told of it.</summary>
    [EmulatedFact]
    public async Task A_layer_of_two_GPUs_is_whole_when_a_peer_is_told()
    {
        var prompt = _it.Prompt("The code of amber is 4821. What is the code of amber?");
        var (source, target) = (Create(2), Create(1));
        new Sequence(source, prompt, Blocks(source, 3)).Prefill();
        var (from, to) = (Blocks(source, 1), Blocks(target, 2));
        using var link = await KvLink.OpenAsync(source.Kv, target.Kv, KvTransport.Shared);
        var blocks = (prompt.Length + 15) / 16;
        var batch = new StepBatch
        {
            Observer = new LayerSender(link, source.Kv.Geometry, from[..blocks], to[..blocks]),
        };
        new Sequence(source, prompt, from).AddTo(batch);
        source.Run(batch);
        for (var i = 0; i < blocks; i++) Assert.Equal(Bytes(source, from[i]), Bytes(target, to[i]));
    }

    private CudaModelRunner Create(int gpus, CudaKvMemory memory = CudaKvMemory.Virtual, KvFormat? format = null) =>
        _it.Create(
            Options with { Devices = [.. Enumerable.Range(0, gpus)], KvMemory = memory }, shareKv: true,
            kvFormat: format);
}
