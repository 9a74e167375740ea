using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Links;

/// <summary>A worker that would compute other bits, or cannot be reached, is refused with both values.</summary>
public sealed class HelloTests
{
    private static readonly Dictionary<string, Mismatch> Wrong = new(StringComparer.Ordinal)
    {
        ["protocol"] = new(h => h.Protocol = 99, ErrorCode.ProtocolMismatch, ["99", "1"]),
        ["no id"] = new(h => h.WorkerId = "", ErrorCode.ProtocolMismatch, ["--id"]),
        ["no role"] = new(h => h.Role = Wire.WorkerRole.Unspecified, ErrorCode.ProtocolMismatch, ["role"]),
        ["no data address"] = new(h => h.DataPort = 0, ErrorCode.ProtocolMismatch, ["127.0.0.1:0"]),
        ["model"] = new(h => h.ModelName = "huge", ErrorCode.ModelMismatch, ["huge", "tiny"]),
        ["fingerprint"] = new(h => h.ModelFingerprint = "f00", ErrorCode.ModelMismatch,
            ["f00", TestModel.Folder.Fingerprint]),
        ["context"] = new(h => h.MaxContextTokens = 100, ErrorCode.ModelMismatch, ["100", "2048"]),
        ["layers"] = new(h => h.Kv.Layers = 5, ErrorCode.KvGeometryMismatch, ["5 layers", "4 layers"]),
        ["heads"] = new(h => h.Kv.KvHeads = 8, ErrorCode.KvGeometryMismatch, ["8 KV heads", "2 KV heads"]),
        ["dims"] = new(h => h.Kv.HeadDim = 8, ErrorCode.KvGeometryMismatch, ["x 8 dims", "x 64 dims"]),
        ["block"] = new(h => h.Kv.BlockTokens = 32, ErrorCode.KvGeometryMismatch, ["32 tokens", "16 tokens"]),
        ["format"] = new(h => h.Kv.Format = "F32", ErrorCode.KvGeometryMismatch, ["F32", "BF16"]),
        ["INT8"] = new(h => h.Kv.Format = "Int8", ErrorCode.KvGeometryMismatch, ["Int8", "BF16"]),
        ["unknown format"] = new(h => h.Kv.Format = "F3", ErrorCode.KvGeometryMismatch, ["F3"]),
        ["no geometry"] = new(h => h.Kv = null, ErrorCode.KvGeometryMismatch, ["0 layers"]),
        ["no blocks"] = new(h => h.TotalBlocks = 0, ErrorCode.KvGeometryMismatch, ["--kv-memory"]),
        ["numerics"] = new(h => h.Numerics = "other/v2", ErrorCode.NumericsMismatch, ["other/v2", "mock/v1"]),
    };

    [Fact]
    public async Task Every_mismatch_is_refused_with_both_values()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        foreach (var name in Wrong.Keys)
        {
            var (change, code, words) = Wrong[name];
            var reply = await harness.Create("stranger", Wire.WorkerRole.Prefill, change).ConnectAsync();

            Assert.False(reply.Accepted, name);
            Assert.Equal(code.ToString(), reply.ErrorCode);
            Assert.All(words, word => Assert.Contains(word, reply.Message, StringComparison.Ordinal));
            Assert.Null(harness.View.Find("stranger"));
        }

        // The positive control: the same worker without a change is welcome.
        Assert.True((await harness.Create("stranger", Wire.WorkerRole.Prefill).ConnectAsync()).Accepted);
    }

    [Fact]
    public async Task A_configured_kv_format_holds_for_the_first_worker_too()
    {
        await using var harness = await SiloHarness.StartAsync(options => options with { KvFormat = KvFormat.F16 });

        var reply = await harness.Create("prefill-0", Wire.WorkerRole.Prefill).ConnectAsync();

        Assert.Equal(nameof(ErrorCode.KvGeometryMismatch), reply.ErrorCode);
    }

    [Fact]
    public async Task The_reply_says_how_often_to_beat_and_when_silence_is_death()
    {
        await using var harness = await SiloHarness.StartAsync();

        var reply = await harness.Create("prefill-0", Wire.WorkerRole.Prefill).ConnectAsync();

        Assert.Equal(("silo-0", 50u, 15_000u), (reply.SiloId, reply.HeartbeatMs, reply.SilenceMs));
    }

    [Fact]
    public async Task A_restarted_worker_pushes_its_predecessor_out()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var old = harness.Decode;

        var restarted = await harness.AddAsync("decode-0", Wire.WorkerRole.Decode);

        await Eventually.UntilAsync(
            () => harness.View.Find("decode-0")!.Worker.Incarnation == restarted.Hello.Incarnation,
            "the new one is there");
        Assert.NotEqual(old.Hello.Incarnation, restarted.Hello.Incarnation);
        var record = await harness.Grains.GetGrain<IDecodeWorkerGrain>("decode-0").GetAsync();
        Assert.Equal(WorkerState.Ready, record.State);
        Assert.Equal(restarted.Hello.Incarnation, record.Descriptor!.Worker.Incarnation);
    }

    [Fact]
    public async Task The_same_process_may_link_again_with_a_newer_epoch_only()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var incarnation = harness.Decode.Hello.Incarnation;
        MockWorker Again(uint epoch) => harness.Create("decode-0", Wire.WorkerRole.Decode, hello =>
            (hello.Incarnation, hello.LinkEpoch) = (incarnation, epoch));

        var late = await Again(1).ConnectAsync();
        var newer = await Again(2).ConnectAsync();

        Assert.Equal(nameof(ErrorCode.AlreadyLinked), late.ErrorCode);
        Assert.True(newer.Accepted);
        await Eventually.UntilAsync(() => harness.View.Find("decode-0")?.LinkEpoch == 2, "the newer link counts");
        var record = await harness.Grains.GetGrain<IDecodeWorkerGrain>("decode-0").GetAsync();
        Assert.Equal(WorkerState.Ready, record.State);
    }

    [Fact]
    public async Task A_second_address_of_a_silo_does_not_push_the_first_link_out()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var incarnation = harness.Decode.Hello.Incarnation;
        var second = await harness.Create("decode-0", Wire.WorkerRole.Decode, hello =>
        {
            (hello.Incarnation, hello.LinkEpoch) = (incarnation, 2);
            hello.LinkedSilos.Add("silo-0");
        }).ConnectAsync();

        Assert.Equal(nameof(ErrorCode.AlreadyLinked), second.ErrorCode);
        Assert.Equal(1u, harness.View.Find("decode-0")!.LinkEpoch);
    }

    [Theory]
    [InlineData(1, 0, 1)] // a worker of version 1, which does not say its newest
    [InlineData(1, 1, 1)]
    [InlineData(1, 2, 2)]
    [InlineData(1, 9, 2)] // a worker of a later version that still speaks ours
    public async Task Both_ends_speak_the_newest_version_that_both_know(uint oldest, uint newest, uint spoken)
    {
        await using var harness = await SiloHarness.StartAsync();
        var reply = await harness.Create("prefill-0", Wire.WorkerRole.Prefill, hello =>
            (hello.Protocol, hello.NewestProtocol) = (oldest, newest)).ConnectAsync();

        Assert.True(reply.Accepted, reply.Message);
        Assert.Equal(spoken, reply.Protocol);
    }

    [Fact]
    public async Task A_worker_that_has_given_up_this_silos_versions_is_refused()
    {
        await using var harness = await SiloHarness.StartAsync();
        var reply = await harness.Create("prefill-0", Wire.WorkerRole.Prefill, hello =>
            (hello.Protocol, hello.NewestProtocol) = (3, 4)).ConnectAsync();

        Assert.Equal(nameof(ErrorCode.ProtocolMismatch), reply.ErrorCode);
        Assert.Contains("3 to 4", reply.Message, StringComparison.Ordinal);
        Assert.Contains("1 to 2", reply.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Garbage_on_the_link_port_harms_nobody()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        byte[][] garbages =
            [[0xFF, 0xFF, 0xFF, 0xFF], [3, 0, 0, 0, 0xFF, 0xFF, 0xFF], [.. "GET / HTTP/1.1\r\n\r\n"u8]];
        foreach (var garbage in garbages)
        {
            await using var link = new ControlLink();
            await link.ConnectAsync(harness.Silo.LinkPort);
            await link.SendBytesAsync(garbage);
            Assert.Null(await link.ReadAsync().InTime());
        }

        using var response = await harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":2}""");
        Assert.True(response.IsSuccessStatusCode);
    }

    [Fact]
    public async Task A_worker_that_leaves_is_lost_to_its_grains_too()
    {
        await using var harness = await SiloHarness.StartPairAsync();

        await harness.Decode.KillAsync();

        await Eventually.UntilAsync(() => harness.View.Find("decode-0") is null, "the view forgets it");
        await Eventually.UntilAsync(
            async () => (await harness.Grains.GetGrain<IDecodeWorkerGrain>("decode-0").GetAsync()).State
                == WorkerState.Lost,
            "its grain says lost");
    }

    private sealed record Mismatch(Action<Wire.Hello> Change, ErrorCode Code, string[] Words);
}
