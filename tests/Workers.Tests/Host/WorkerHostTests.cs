using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Models;
using Microsoft.Extensions.Logging.Abstractions;
using static Krewe.Workers.Tests.EngineBench;
using WorkerRole = Krewe.Abstractions.WorkerRole;

namespace Krewe.Workers.Tests;

/// <summary>Whole workers on the bundled model, linked to a played silo.</summary>
public sealed class WorkerHostTests
{
    private static readonly string Tiny = FindTiny();

    [Fact]
    public async Task Prefill_and_decode_workers_a_mixed_one_and_a_local_engine_give_the_same_tokens()
    {
        using var model = ModelFolder.Open(Tiny);
        var prompt = model.Tokenizer.Encode("The secret codes are 4 1 7 and the answer is", addSpecialTokens: true);
        var local = await LocalAsync(model, prompt);
        Assert.Equal(24, local.Count);

        using var silo = new PlayedSilo();
        using var stop = new CancellationTokenSource();
        Task<int>[] workers =
        [
            RunAsync(silo, WorkerRole.Prefill, stop.Token), RunAsync(silo, WorkerRole.Decode, stop.Token),
            RunAsync(silo, WorkerRole.Mixed, stop.Token),
        ];
        var links = new Dictionary<Krewe.Abstractions.Wire.WorkerRole, PlayedLink>();
        while (links.Count < 3)
        {
            var link = await silo.AcceptAsync(PlayedSilo.Welcome());
            links.Add(link.Hello.Role, link);
        }

        var (prefill, decode, mixed) = (links[Krewe.Abstractions.Wire.WorkerRole.Prefill],
            links[Krewe.Abstractions.Wire.WorkerRole.Decode], links[Krewe.Abstractions.Wire.WorkerRole.Mixed]);
        await mixed.StartAsync(StreamOf("whole", prompt, SequencePart.Whole));
        Assert.Equal(local, await mixed.TokensAsync("whole"));

        var pulling = StreamOf("split", prompt, SequencePart.Decode);
        pulling.Source = new DataAddress
        {
            WorkerId = prefill.Hello.WorkerId,
            Incarnation = prefill.Hello.Incarnation,
            Host = prefill.Hello.DataHost,
            Port = prefill.Hello.DataPort,
        };
        await decode.StartAsync(pulling);
        await prefill.StartAsync(StreamOf("split", prompt, SequencePart.Prefill));
        Assert.Equal(local, await decode.TokensAsync("split"));
        Assert.Equal(local[..1], await prefill.TokensAsync("split"));

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(workers), code => Assert.Equal(0, code));
        foreach (var link in links.Values) link.Dispose();
    }

    [Fact]
    public async Task A_refused_worker_ends_with_the_silos_reason()
    {
        using var silo = new PlayedSilo();
        var worker = RunAsync(silo, WorkerRole.Decode, CancellationToken.None);
        using var link = await silo.AcceptAsync(
            new HelloReply { ErrorCode = nameof(ErrorCode.ModelMismatch), Message = "serve model X instead" });
        var refused = await Assert.ThrowsAsync<KreweException>(() => worker);
        Assert.Equal(ErrorCode.ModelMismatch, refused.Code);
        Assert.Contains("serve model X instead", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silo_can_drain_a_worker_away()
    {
        using var silo = new PlayedSilo();
        var worker = RunAsync(silo, WorkerRole.Mixed, CancellationToken.None);
        using var link = await silo.AcceptAsync(PlayedSilo.Welcome());
        await link.StartAsync(StreamOf("last", Prompt(1, 20), SequencePart.Whole));
        await link.SendAsync(new SiloMessage { Drain = new Drain() });
        Assert.Equal(24, (await link.TokensAsync("last")).Count);
        Assert.Equal(0, await worker);
    }

    [Fact]
    public async Task Invalid_options_are_all_told_at_once()
    {
        var options = Options("x", WorkerRole.Mixed, "not-an-address") with { Threads = 0, BlockTokens = 17 };
        var invalid = await FailureAsync<KreweException>(options);
        Assert.Equal(ErrorCode.InvalidOptions, invalid.Code);
        Assert.Contains("Threads is 0", invalid.Message, StringComparison.Ordinal);
        Assert.Contains("BlockTokens is 17", invalid.Message, StringComparison.Ordinal);
        Assert.Contains("not-an-address", invalid.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_without_a_model_is_named()
    {
        var empty = Directory.CreateTempSubdirectory("krewe-no-model-");
        try
        {
            var options = Options("x", WorkerRole.Mixed, "127.0.0.1:1") with { ModelDirectory = empty.FullName };
            var failure = await FailureAsync<ModelException>(options);
            Assert.Contains(empty.FullName, failure.Message, StringComparison.Ordinal);
        }
        finally
        {
            empty.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_data_port_in_use_is_named()
    {
        using var arena = new FakeArena(1);
        using var transport = new TcpBlockTransport(arena, KvTransport.Tcp, TimeProvider.System);
        using var taken = transport.Listen("127.0.0.1", 0);
        var options = Options("x", WorkerRole.Mixed, "127.0.0.1:1") with { DataPort = taken.Port };
        var inUse = await FailureAsync<KreweException>(options);
        Assert.Equal(ErrorCode.PortInUse, inUse.Code);
        Assert.Contains($"{taken.Port}", inUse.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shared_memory_where_there_is_none_is_refused_at_the_start()
    {
        var options = Options("x", WorkerRole.Mixed, "127.0.0.1:1") with
        {
            Device = WorkerDevice.Reference,
            KvTransport = KvTransport.Shared,
        };
        var refused = await FailureAsync<KreweException>(options);
        Assert.Equal(ErrorCode.InvalidOptions, refused.Code);
        Assert.Contains("--kv-transport", refused.Message, StringComparison.Ordinal);
    }

    private static Task<T> FailureAsync<T>(WorkerOptions options)
        where T : Exception => Assert.ThrowsAsync<T>(() => WorkerHost.RunAsync(
            options, NullLoggerFactory.Instance, TimeProvider.System, CancellationToken.None));

    private static Task<int> RunAsync(
        PlayedSilo silo, WorkerRole role, CancellationToken stopping) => Task.Run(
        () => WorkerHost.RunAsync(
            Options($"{role}-0", role, silo.Address), NullLoggerFactory.Instance, PatientTime.Links, stopping),
        CancellationToken.None);

    private static async Task<List<int>> LocalAsync(ModelFolder model, int[] prompt)
    {
        var options = Options("local", WorkerRole.Mixed, "127.0.0.1:1");
        await using var engine = LocalEngine.Create(model, options, TimeProvider.System, NullLogger.Instance);
        var tokens = new List<int>();
        await foreach (var run in engine.GenerateAsync(StreamOf("local", prompt, SequencePart.Whole), default))
            tokens.AddRange(run.Tokens.Select(token => (int)token));
        return tokens;
    }

    private static StartSequence StreamOf(string request, int[] prompt, SequencePart part)
    {
        var start = Start(request, prompt, maxOutput: 24, part);
        start.Sampling.Temperature = 0.8f;
        start.IgnoreEos = true;
        return start;
    }

    private static WorkerOptions Options(string id, WorkerRole role, string silo) => new()
    {
        WorkerId = id,
        Role = role,
        ModelDirectory = Tiny,
        Silos = [silo],
        KvMemoryBytes = 16 << 20,
        StepBudgetTokens = 16,
    };

    private static string FindTiny()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "Orleans.sln")))
            directory = directory.Parent;
        return Path.Combine(directory!.FullName, "models", "tiny");
    }
}
