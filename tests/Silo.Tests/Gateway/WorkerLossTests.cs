using System.Net;
using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>A worker that is lost costs time, never a token; what it says later is not heard.</summary>
public sealed class WorkerLossTests
{
    private const string Path = "/v1/completions";
    private const string Ask = """{"prompt":[5,6,7],"max_tokens":50,"stream":true}""";

    [Fact]
    public async Task A_decode_worker_that_dies_mid_stream_is_replaced_and_the_stream_goes_on()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Decode.Hold = new Hold(4);
        using var events = new EventStream(await harness.PostStreamAsync(Path, Ask));
        await hold.Reached;
        await Eventually.UntilAsync(() => harness.Counters.Accepted == 4, "four tokens are with their owner");

        await harness.Decode.KillAsync();
        await harness.AddAsync("decode-1", Wire.WorkerRole.Decode);

        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(await events.ToEndAsync()));
        var again = harness.Prefill.Started.Last();
        Assert.Equal(2u, again.Key.Epoch);
        Assert.Equal([5u, 6u, 7u], again.PromptTokens);
        Assert.Equal(TestModel.Encode(SiloHarness.Answer)[..4].Select(id => (uint)id), again.OutputTokens);
        Assert.Equal(harness.Prefill.Started.First().Sampling.Seed, again.Sampling.Seed);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_prefill_worker_that_dies_before_the_first_token_is_replaced_by_its_restart()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostStreamAsync(Path, Ask);
        await hold.Reached;

        await harness.Prefill.KillAsync();
        await harness.AddAsync("prefill-0", Wire.WorkerRole.Prefill);

        using var events = new EventStream(await answering);
        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(await events.ToEndAsync()));
    }

    [Fact]
    public async Task A_worker_that_says_nothing_is_given_up_with_its_socket_open()
    {
        var beats = new HeldBeats();
        await using var harness = await SiloHarness.StartPairAsync(time: beats);
        var hold = harness.Decode.Hold = new Hold(4);
        var silent = harness.Decode;
        using var events = new EventStream(await harness.PostStreamAsync(Path, Ask));
        await hold.Reached;

        silent.IsSilent = true;
        MockWorker[] heard = [harness.Prefill, await harness.AddAsync("decode-1", Wire.WorkerRole.Decode)];
        await Eventually.UntilAsync(
            async () =>
            {
                for (var i = 0; i < 20; i++)
                {
                    beats.Beat();
                    foreach (var worker in heard) await BeHeardAsync(harness, worker);
                }

                return harness.View.Find("decode-0") is null;
            },
            "the silent one is given up");

        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(await events.ToEndAsync()));
        Assert.Null(harness.View.Find("decode-0"));
        Assert.All(heard, worker => Assert.NotNull(harness.View.Find(worker.Hello.WorkerId)));
    }

    [Fact]
    public async Task Tokens_of_an_old_epoch_and_tokens_that_were_said_before_are_dropped()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostStreamAsync(Path, Ask);
        await hold.Reached;
        var key = harness.Prefill.Started.Single().Key;
        await harness.Prefill.SendAsync(key, Wire.SequenceEventKind.Failed, e =>
            (e.ErrorCode, e.Message) = (nameof(ErrorCode.LeaseExpired), "nobody pulled"));
        await harness.Prefill.ReleaseAsync(key);
        await Eventually.UntilAsync(() => harness.Prefill.Started.Count == 2, "the second epoch is dispatched");
        var second = new Hold(2);
        harness.Decode.Hold = second;
        hold.Release();
        await second.Reached;

        var old = new Wire.TokenRun { Key = key, FirstIndex = 2, Tokens = { 9, 9, 9 } };
        old.Finish = Wire.FinishReason.Stop;
        await harness.Decode.SendAsync(old);
        var newKey = new Wire.SequenceKey(key) { Epoch = 2 };
        var said = TestModel.Encode(SiloHarness.Answer)[..2].Select(id => (uint)id);
        await harness.Decode.SendAsync(new Wire.TokenRun { Key = newKey, FirstIndex = 0, Tokens = { said } });
        await harness.Decode.SendAsync(new Wire.TokenRun { Key = newKey, FirstIndex = 7, Tokens = { 9 } });
        second.Release();

        using var events = new EventStream(await answering);
        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(await events.ToEndAsync()));
        Assert.True(harness.Counters.Stale >= 3);
        Assert.True(harness.Counters.Duplicate >= 2);
        Assert.Equal((1, 0), (harness.Counters.Early, harness.Counters.Contradicting));
    }

    [Fact]
    public async Task Without_a_replacement_the_stream_ends_in_an_error_event_and_a_broken_connection()
    {
        await using var harness = await SiloHarness.StartPairAsync(options => options with
        {
            Cluster = options.Cluster with { WorkerWaitLimit = TimeSpan.FromMilliseconds(200) },
        });
        var hold = harness.Decode.Hold = new Hold(4);
        using var events = new EventStream(await harness.PostStreamAsync(Path, Ask));
        await hold.Reached;

        await harness.Decode.KillAsync();

        List<string> data = [];
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            while (await events.NextAsync() is { } next) data.Add(next);
        });
        Assert.Equal("[DONE]", data[^1]);
        Assert.Contains("\"code\":\"no_workers\"", data[^2], StringComparison.Ordinal);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Before_the_first_token_the_same_is_a_status_with_retry_after()
    {
        await using var harness = await SiloHarness.StartPairAsync(options => options with
        {
            Cluster = options.Cluster with { WorkerWaitLimit = TimeSpan.FromMilliseconds(200) },
        });
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostStreamAsync(Path, Ask);
        await hold.Reached;

        await harness.Prefill.KillAsync();

        using var response = await answering;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal("no_workers", (await Json.OfAsync(response)).Text("error.code"));
    }

    [Fact]
    public async Task Without_workers_a_request_is_refused_at_the_door()
    {
        await using var harness = await SiloHarness.StartAsync();

        using var response = await harness.PostAsync(Path, Ask);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Equal("no_workers", (await Json.OfAsync(response)).Text("error.code"));
    }

    [Fact]
    public async Task A_full_silo_refuses_with_429_and_a_time()
    {
        await using var harness = await SiloHarness.StartPairAsync(options => options with
        {
            Cluster = options.Cluster with { MaxRequestsPerSilo = 1 },
        });
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostStreamAsync(Path, Ask);
        await hold.Reached;

        using var refused = await harness.PostAsync(Path, Ask);
        hold.Release();

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal("rate_limit_error", (await Json.OfAsync(refused)).Text("error.type"));
        using var response = await answering;
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    /// <summary>The worker says something, and the silo has heard it.</summary>
    private static async Task BeHeardAsync(SiloHarness harness, MockWorker worker)
    {
        var link = harness.View.Find(worker.Hello.WorkerId)!;
        var before = link.Load;
        await worker.ReportLoadAsync();
        await Eventually.UntilAsync(() => link.Load != before, $"{worker.Hello.WorkerId} is heard");
    }
}
