using System.Net;
using System.Text;
using Krewe.Abstractions;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Gateway.Answers;
using Krewe.Silo.Tests.Harness;
using Krewe.Workers.Tests;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>A stream that has nothing to say is heard all the same: proxies cut connections that are silent.</summary>
public sealed class KeepAliveTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Messages = "/v1/messages";
    private const string Ask = "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}],\"stream\":true";
    private const string Thought = "<think>\nOne two three four.\n</think>\n\nIt is 2.";
    private const string Comment = ": keep-alive\n\n";

    private static readonly TimeSpan Often = TimeSpan.FromMilliseconds(20);

    [Fact]
    public async Task Before_the_first_token_a_stream_is_kept_alive_and_its_events_stay_the_same()
    {
        await using var harness = await StartAsync(Often);
        var body = $"{{{Ask},\"seed\":1}}";
        var hold = harness.Prefill.Hold = new Hold(0);
        var asking = harness.PostStreamAsync(Chat, body);
        await hold.Reached;

        using var stream = new EventStream(await asking);
        var first = stream.NextAsync();
        await Eventually.UntilAsync(() => stream.KeepAlives >= 2, "two keep-alives came");
        hold.Release();

        Assert.Contains("\"role\":\"assistant\"", await first, StringComparison.Ordinal);
        Assert.Equal(Thought, EventStream.TextOf(await stream.ToEndAsync()));
    }

    [Fact]
    public async Task While_thoughts_are_left_out_a_stream_is_kept_alive()
    {
        await using var harness = await StartAsync(Often, ReasoningParser.Think);
        var hold = harness.Decode.Hold = new Hold(TestModel.Encode("<think>\nOne two").Length);
        using var stream = new EventStream(
            await harness.PostStreamAsync(Chat, $"{{{Ask},\"include_reasoning\":false}}"));
        await stream.NextAsync();
        await hold.Reached;

        var answering = stream.ToEndAsync();
        await Eventually.UntilAsync(() => stream.KeepAlives >= 2, "two keep-alives came");
        hold.Release();

        Assert.Equal("It is 2.", EventStream.TextOf(await answering));
    }

    [Fact]
    public async Task A_message_has_a_comment_before_its_start_and_pings_behind_it()
    {
        await using var harness = await StartAsync(Often);
        var (first, later) = (new Hold(0), new Hold(5));
        (harness.Prefill.Hold, harness.Decode.Hold) = (first, later);
        var asking = harness.PostStreamAsync(Messages, $"{{{Ask},\"max_tokens\":400}}");
        await first.Reached;
        using var stream = new EventStream(await asking);
        var start = stream.NextAsync();
        await Eventually.UntilAsync(() => stream.KeepAlives >= 1, "a keep-alive came");
        first.Release();
        Assert.Contains("message_start", await start, StringComparison.Ordinal);
        await later.Reached;

        var pings = 0;
        while (await stream.NextAsync() is { } data)
        {
            if (stream.Name != "ping") continue;
            Assert.Equal("{\"type\":\"ping\"}", data);
            if (++pings == 2) later.Release();
        }

        Assert.InRange(pings, 2, int.MaxValue);
        Assert.Equal("message_stop", stream.Name);
    }

    [Theory]
    [InlineData(Chat, "\"code\":\"deadline_exceeded\"")]
    [InlineData(Messages, "\"type\":\"error\"")]
    [InlineData("/v1/responses", "response.failed")]
    public async Task An_error_behind_a_keep_alive_is_an_event_and_a_broken_connection(string path, string words)
    {
        var clock = new HandClock();
        await using var harness = await StartAsync(Often, time: clock);
        var hold = harness.Prefill.Hold = new Hold(0);
        var asking = harness.PostStreamAsync(
            path, $"{{{Ask},\"input\":\"hello\",\"max_tokens\":400}}");
        await hold.Reached;
        clock.Advance(TimeSpan.FromSeconds(1)); // of silence
        using var response = await asking;
        using var stream = new EventStream(response);
        clock.Advance(new ClusterOptions().RequestTimeout);
        // Its grain looks at the clock with whatever it is told.
        await harness.Prefill.SendAsync(
            Assert.Single(harness.Prefill.Started).Key, Wire.SequenceEventKind.PrefillStarted);

        List<string> events = [];
        var cut = await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            while (await stream.NextAsync() is { } data) events.Add(data);
        });

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(cut is HttpRequestException or IOException, $"{cut}");
        Assert.Contains(events, data => data.Contains(words, StringComparison.Ordinal));
        Assert.InRange(stream.KeepAlives, 1, int.MaxValue);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task Without_keep_alives_an_error_before_the_first_token_has_its_status()
    {
        // The positive control of the test above.
        await using var harness = await StartAsync(TimeSpan.Zero, timeout: TimeSpan.FromSeconds(1));
        harness.Prefill.Hold = new Hold(0);

        using var response = await harness.PostStreamAsync(Chat, $"{{{Ask}}}");

        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_stream_that_is_resumed_is_kept_alive_too()
    {
        await using var harness = await StartAsync(Often);
        var hold = harness.Decode.Hold = new Hold(5);
        using var message = new HttpRequestMessage(HttpMethod.Post, Chat)
        {
            Content = new StringContent($"{{{Ask}}}", Encoding.UTF8, "application/json"),
            Headers = { { "Idempotency-Key", "key" } },
        };
        using var first = await harness.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        var id = first.Headers.GetValues("x-request-id").Single();
        await hold.Reached;

        using var resume = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream")
        {
            Headers = { { "Last-Event-ID", "400" } }, // behind all that there will be
        };
        using var response = await harness.Client.SendAsync(resume, HttpCompletionOption.ResponseHeadersRead);
        using var stream = new EventStream(response);
        var end = stream.NextAsync();
        await Eventually.UntilAsync(() => stream.KeepAlives >= 2, "two keep-alives came");
        hold.Release();

        Assert.Null(await end);
        Assert.EndsWith("data: [DONE]\n\n", await first.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task In_a_queue_a_stream_is_kept_alive()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await StartAsync(Often, keys: keys.Path);
        var hold = harness.Prefill.Hold = new Hold(0);
        var prompt = string.Join(',', Enumerable.Repeat(5, 700));
        var body = $"{{\"prompt\":[{prompt}],\"max_tokens\":2,\"stream\":true}}";
        using var client = new HttpClient { BaseAddress = harness.Client.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new("Bearer", KeyFile.KeyOf("user"));
        Task<HttpResponseMessage> Ask() => client.SendAsync(
            new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
            {
                Content = new StringContent(body, Encoding.UTF8, "application/json"),
            },
            HttpCompletionOption.ResponseHeadersRead);
        // Two such prompts are all that a prefill worker has in hand.
        List<Task<HttpResponseMessage>> asking = [Ask(), Ask(), Ask()];
        var line = harness.Silo.Services.GetRequiredService<DispatchLine>();
        await Eventually.UntilAsync(() => line.WaitingCount == 1, "the third waits for its turn");

        var streams = (await Task.WhenAll(asking)).Select(answer => new EventStream(answer)).ToList();
        var answers = streams.ConvertAll(stream => stream.ToEndAsync());
        await Eventually.UntilAsync(() => streams.TrueForAll(stream => stream.KeepAlives >= 2), "all are kept alive");
        Assert.Equal(1, line.WaitingCount);
        hold.Release();

        Assert.All(await Task.WhenAll(answers), events => Assert.NotEmpty(events));
        streams.ForEach(stream => stream.Dispose());
    }

    [Fact]
    public async Task A_client_that_has_all_events_so_far_gets_the_head_of_its_stream_at_once()
    {
        await using var harness = await StartAsync(TimeSpan.Zero);
        var hold = harness.Decode.Hold = new Hold(5);
        using var message = new HttpRequestMessage(HttpMethod.Post, Chat)
        {
            Content = new StringContent($"{{{Ask}}}", Encoding.UTF8, "application/json"),
            Headers = { { "Idempotency-Key", "key" } },
        };
        using var first = await harness.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead);
        await hold.Reached;

        var id = first.Headers.GetValues("x-request-id").Single();
        using var resume = new HttpRequestMessage(HttpMethod.Get, $"/v1/requests/{id}/stream");
        resume.Headers.Add("Last-Event-ID", "400");
        using var response = await harness.Client.SendAsync(resume, HttpCompletionOption.ResponseHeadersRead);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        hold.Release();
        Assert.Equal("", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Silence_counts_from_what_was_sent_last_and_ends_with_the_stream()
    {
        var time = new ManualTime();
        var context = new DefaultHttpContext();
        using var body = new MemoryStream();
        context.Response.Body = body;
        var options = new SiloOptions { ModelDirectory = "", StreamKeepAlive = TimeSpan.FromSeconds(15) };
        string Sent() => Encoding.UTF8.GetString(body.ToArray());
        await using var stream = new AnswerStream(context, "id", options, time);

        time.Advance(TimeSpan.FromSeconds(14));
        await stream.SendAsync([new AnswerEvent("1"u8.ToArray())], flushes: true);
        const string One = "id: 1\ndata: 1\n\n";
        Assert.Equal(One, Sent());
        time.Advance(TimeSpan.FromSeconds(1)); // 15 s behind the begin, 1 behind the event
        await stream.SendAsync([], flushes: true); // a token that shows nothing
        time.Advance(TimeSpan.FromSeconds(13.9));
        await stream.SendAsync([], flushes: true);
        Assert.Equal(One, Sent());

        time.Advance(TimeSpan.FromSeconds(0.2));
        await AdvanceUntilAsync(time, () => Sent() == One + Comment, "the silence was broken");
        await AdvanceUntilAsync(time, () => Sent() == One + Comment + Comment, "and once more");

        await stream.EndAsync([AnswerEvent.Done]);
        time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal($"{One}{Comment}{Comment}id: 2\ndata: [DONE]\n\n", Sent());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task While_somebody_else_may_answer_nothing_is_written_and_nothing_behind_its_answer(bool isAnswered)
    {
        var time = new ManualTime();
        var context = new DefaultHttpContext();
        using var body = new MemoryStream();
        context.Response.Body = body;
        var options = new SiloOptions { ModelDirectory = "", StreamKeepAlive = TimeSpan.FromSeconds(15) };
        var stream = new AnswerStream(context, "id", options, time);

        await stream.HoldAsync();
        time.Advance(TimeSpan.FromSeconds(20));
        time.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(0, body.Length);
        stream.Release(isAnswered);

        if (!isAnswered) await AdvanceUntilAsync(time, () => body.Length > 0, "the silence was broken");

        await stream.DisposeAsync();
        Assert.Equal(isAnswered, body.Length == 0);
    }

    [Fact]
    public async Task Before_anything_was_sent_a_refusal_has_twice_the_time_to_be_one()
    {
        var time = new ManualTime();
        var context = new DefaultHttpContext();
        using var body = new MemoryStream();
        context.Response.Body = body;
        var options = new SiloOptions { ModelDirectory = "", StreamKeepAlive = TimeSpan.FromSeconds(15) };
        var refusal = new KreweException(ErrorCode.NoWorkers, "none");
        static IEnumerable<AnswerEvent> Events() => [AnswerEvent.Done];
        await using (var refused = new AnswerStream(context, "id", options, time))
        {
            time.Advance(TimeSpan.FromSeconds(29));
            await refused.FailAsync(refusal, Events);
            Assert.Equal(0, body.Length);
        }

        await using var stream = new AnswerStream(context, "id", options, time);
        time.Advance(TimeSpan.FromSeconds(30));
        await AdvanceUntilAsync(time, () => body.Length == Comment.Length, "the silence was broken");

        await Assert.ThrowsAsync<BadHttpRequestException>(() => stream.FailAsync(refusal, Events));
        Assert.Equal($"{Comment}data: [DONE]\n\n", Encoding.UTF8.GetString(body.ToArray()));
    }

    /// <summary>As another silo's answer is passed on, for longer than a silence.</summary>
    [Fact]
    public async Task Behind_an_answer_that_another_wrote_there_is_nothing()
    {
        var time = new ManualTime();
        var context = new DefaultHttpContext();
        using var body = new MemoryStream();
        context.Response.Body = body;
        var options = new SiloOptions { ModelDirectory = "", StreamKeepAlive = TimeSpan.FromSeconds(15) };
        await using (var stream = new AnswerStream(context, "id", options, time))
        {
            await stream.HoldAsync();
            time.Advance(TimeSpan.FromMinutes(1));
            await context.Response.WriteAsync("data: [DONE]\n\n");
            stream.Release(isAnswered: true);
            time.Advance(TimeSpan.FromMinutes(1));
        }

        await using (var asked = new AnswerStream(context, "id", options, time))
        {
            // The positive control: nobody answered.
            await asked.HoldAsync();
            asked.Release(isAnswered: false);
            time.Advance(TimeSpan.FromMinutes(1));
            await AdvanceUntilAsync(time, () => body.Length > 20, "the silence was broken");
        }

        var written = Encoding.UTF8.GetString(body.ToArray());
        Assert.StartsWith("data: [DONE]\n\n: keep-alive", written, StringComparison.Ordinal);
    }

    /// <summary>Time moves on by a second for as long as nothing is seen: a stream that looks at it late waits for the
    /// rest of a silence, and the next one is fifteen of these steps away.</summary>
    private static Task AdvanceUntilAsync(ManualTime time, Func<bool> condition, string what) => Eventually.UntilAsync(
        () =>
        {
            if (condition()) return true;
            time.Advance(TimeSpan.FromSeconds(1));
            return condition();
        },
        what);

    private static async Task<SiloHarness> StartAsync(
        TimeSpan keepAlive, ReasoningParser parser = ReasoningParser.None, TimeSpan? timeout = null,
        string? keys = null, TimeProvider? time = null)
    {
        var harness = await SiloHarness.StartPairAsync(options => options with
        {
            ReasoningParser = parser,
            StreamKeepAlive = keepAlive,
            ApiKeys = keys,
            Cluster = timeout is { } limit ? options.Cluster with { RequestTimeout = limit } : options.Cluster,
        }, time);
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode(Thought));
        return harness;
    }
}
