using System.Net;
using System.Text.Json;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using WorkerRole = Krewe.Abstractions.Wire.WorkerRole;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>A stream that was cut goes on with the very bytes that the lost connection would have carried.</summary>
public sealed class ResumeTests
{
    private const string Text = "/v1/completions";
    private const string Chat = "/v1/chat/completions";
    private const string ChatBody = """
        {"messages":[{"role":"user","content":"x"}],"logprobs":true,"n":2,"max_tokens":40,"stream":true,
         "stop":" six","stream_options":{"include_usage":true,"continuous_usage_stats":true}}
        """;

    [Fact]
    public async Task Behind_every_event_the_rest_is_the_same_byte_for_byte()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        using var first = await SendAsync(harness, Chat, ChatBody, "key");
        var id = first.Headers.GetValues("x-request-id").Single();
        var whole = await first.Content.ReadAsStringAsync();
        var events = EventsOf(whole);
        Assert.True(events.Length > 10);

        for (var have = 0; have <= events.Length; have++)
        {
            using var rest = await ResumeAsync(harness, $"chatcmpl-{id}", have);
            Assert.Equal(string.Concat(events[have..]), await rest.Content.ReadAsStringAsync());
        }

        Assert.Equal(2, harness.Prefill.Started.Count);
    }

    [Fact]
    public async Task A_running_stream_that_lost_its_client_runs_on_and_can_be_taken_up()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Decode.Hold = new Hold(3);
        const string Body = """{"prompt":[5],"max_tokens":40,"stream":true}""";
        string id;
        string? seen;
        using (var leave = new CancellationTokenSource())
        {
            var response = await SendAsync(harness, Text, Body, "key", leave.Token);
            id = response.Headers.GetValues("x-request-id").Single();
            using var events = new EventStream(response);
            seen = await events.NextAsync();
            await leave.CancelAsync();
        }

        await harness.Decode.Hold.Reached;
        var resuming = ResumeAsync(harness, id, 1);
        harness.Decode.Hold.Release();
        using var rest = new EventStream(await resuming);
        var chunks = await rest.ToEndAsync();

        using var before = JsonDocument.Parse(seen!);
        Assert.Equal(SiloHarness.Answer, EventStream.TextOf([before.RootElement, .. chunks]));
        Assert.Single(harness.Prefill.Started);
        await harness.UntilQuietAsync();
        Assert.Empty(harness.Decode.Aborted);
    }

    [Fact]
    public async Task Fifty_requests_with_one_key_are_one_request_and_get_one_answer()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        harness.Prefill.Hold = new Hold(0);

        var asking = Enumerable.Range(0, 50)
            .Select(_ => SendAsync(harness, Text, """{"prompt":[5],"temperature":1}""", "one key")).ToList();
        await harness.Prefill.Hold.Reached;
        harness.Prefill.Hold.Release();
        var answers = await Task.WhenAll(asking);

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        var bodies = await Task.WhenAll(answers.Select(answer => answer.Content.ReadAsStringAsync()));
        Assert.Single(bodies.Distinct());
        Assert.Single(harness.Prefill.Started);
        await harness.UntilQuietAsync();
        using var late = await SendAsync(harness, Text, """{"prompt":[5],"temperature":1}""", "one key");
        Assert.Equal(bodies[0], await late.Content.ReadAsStringAsync());
        Assert.Single(harness.Prefill.Started);
    }

    [Fact]
    public async Task Without_a_key_each_is_a_request_of_its_own()
    {
        // The positive control of the test above.
        await using var harness = await SiloHarness.StartPairAsync();

        for (var i = 0; i < 3; i++) (await harness.PostAsync(Text, """{"prompt":[5]}""")).Dispose();

        Assert.Equal(3, harness.Prefill.Started.Count);
    }

    [Fact]
    public async Task A_key_that_was_used_for_another_body_is_refused()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        (await SendAsync(harness, Text, """{"prompt":[5]}""", "key")).Dispose();

        using var other = await SendAsync(harness, Text, """{"prompt":[6]}""", "key");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, other.StatusCode);
        Assert.Equal("idempotency_key_reused", (await Json.OfAsync(other)).Text("error.code"));
        Assert.Single(harness.Prefill.Started);
    }

    [Fact]
    public async Task A_refused_request_leaves_its_key_free()
    {
        await using var harness = await SiloHarness.StartAsync();
        using var refused = await SendAsync(harness, Text, """{"prompt":[5]}""", "key");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);

        await harness.AddAsync("prefill-0", WorkerRole.Prefill);
        await harness.AddAsync("decode-0", WorkerRole.Decode);
        using var answer = await SendAsync(harness, Text, """{"prompt":[5]}""", "key");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task A_client_that_does_not_come_back_in_time_frees_everything()
    {
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { ResumeWindow = TimeSpan.FromMilliseconds(200) });
        harness.Decode.Hold = new Hold(3);
        using var leave = new CancellationTokenSource();
        (await SendAsync(harness, Text, """{"prompt":[5],"max_tokens":40,"stream":true}""", "key", leave.Token))
            .Dispose();
        await leave.CancelAsync();

        await harness.UntilQuietAsync();

        Assert.Single(harness.Decode.Aborted);
    }

    [Fact]
    public async Task An_answer_that_the_silo_has_forgotten_is_made_again_the_same()
    {
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { ResumeWindow = TimeSpan.FromMicroseconds(1) });
        const string Body = """{"prompt":[5],"max_tokens":40,"stream":true}""";
        using var first = await SendAsync(harness, Text, Body, "key");
        var whole = await first.Content.ReadAsStringAsync();
        await harness.UntilQuietAsync();
        // Whoever ends next makes the silo look at the clock.
        using var other = await SendAsync(harness, Text, Body, "other key");
        await other.Content.ReadAsStringAsync();
        var kept = harness.Silo.Services.GetRequiredService<KeptAnswers>();
        await Eventually.UntilAsync(() => kept.Count <= 1, "the first one is forgotten");

        using var again = await SendAsync(harness, Text, Body, "key");

        Assert.Equal(whole, await again.Content.ReadAsStringAsync());
        Assert.Equal(3, harness.Prefill.Started.Count);
    }

    [Theory]
    [InlineData("nobody", null, HttpStatusCode.NotFound)]
    [InlineData("key-0", "x", HttpStatusCode.BadRequest)]
    [InlineData("key-0", "-1", HttpStatusCode.BadRequest)]
    public async Task What_cannot_be_resumed_says_why(string id, string? lastEventId, HttpStatusCode status)
    {
        await using var harness = await SiloHarness.StartPairAsync();
        using var message = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
        if (lastEventId is not null) message.Headers.Add("Last-Event-ID", lastEventId);

        using var response = await harness.Client.SendAsync(message);

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task A_worker_that_dies_changes_nothing_for_who_resumes()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        const string Body = """{"prompt":[5],"max_tokens":40,"stream":true}""";
        using var uncut = await SendAsync(harness, Text, Body, "uncut");
        var expected = EventsOf(await uncut.Content.ReadAsStringAsync()).Length;
        harness.Decode.Hold = new Hold(3);
        using var leave = new CancellationTokenSource();
        var response = await SendAsync(harness, Text, Body, "cut", leave.Token);
        var id = response.Headers.GetValues("x-request-id").Single();
        await harness.Decode.Hold.Reached;
        await leave.CancelAsync();

        await harness.Decode.KillAsync();
        await harness.AddAsync("decode-0", WorkerRole.Decode);
        using var all = new EventStream(await ResumeAsync(harness, id, 0));
        var chunks = await all.ToEndAsync();

        Assert.Equal(SiloHarness.Answer, EventStream.TextOf(chunks));
        Assert.Equal(expected, chunks.Count + 1);
        Assert.Equal(0, harness.Counters.Contradicting);
    }

    private static async Task<HttpResponseMessage> SendAsync(
        SiloHarness harness, string path, string body, string key, CancellationToken cancellationToken = default)
    {
        var message = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(body, null, "application/json"),
            Headers = { { "Idempotency-Key", key } },
        };
        return await harness.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
    }

    private static Task<HttpResponseMessage> ResumeAsync(SiloHarness harness, string id, int lastEventId)
    {
        var message = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
        if (lastEventId > 0) message.Headers.Add("Last-Event-ID", $"{lastEventId}");
        return harness.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
    }

    private static string[] EventsOf(string stream) =>
        [.. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(text => text + "\n\n")];
}
