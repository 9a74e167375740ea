using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Krewe.Silo.Gateway.Admission;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Access;

public sealed class TenantTests
{
    private const string Completions = "/v1/completions";
    private const string Completion = """{"prompt":[5],"max_tokens":2}""";

    [Fact]
    public async Task A_tenant_finds_no_trace_of_anothers_request()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await StartAsync(keys);
        static void Named(HttpRequestMessage request)
        {
            request.Headers.Add("X-Request-Id", "mine");
            request.Headers.Add("X-Krewe-Resumable", "true");
        }

        var answer = await harness.PostAsAsync("user", Completions, Completion, Named);
        answer.EnsureSuccessStatusCode();
        Assert.Equal("mine", answer.Headers.GetValues("x-request-id").Single());
        Assert.Equal("cmpl-mine", (await Json.OfAsync(answer)).Text("id"));

        foreach (var path in (string[])["/v1/requests/mine", "/v1/requests/mine/stream", "/v1/requests/mine~acme"])
            Assert.Equal(HttpStatusCode.NotFound, (await harness.GetAsAsync("other", path)).StatusCode);
        var own = await Json.OfAsync(await harness.GetAsAsync("user", "/v1/requests/mine"));
        Assert.Equal("mine", own.Text("id"));
        (await harness.GetAsAsync("user", "/v1/requests/mine/stream")).EnsureSuccessStatusCode();
        (await harness.GetAsAsync("ops", "/v1/cluster/requests/mine~acme")).EnsureSuccessStatusCode();
        // The same id is free for others: that it is taken here shows nowhere.
        (await harness.PostAsAsync("other", Completions, """{"prompt":[6],"max_tokens":2}""", Named))
            .EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task An_idempotency_key_is_its_tenants_own()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await StartAsync(keys);
        static void Keyed(HttpRequestMessage request) => request.Headers.Add("Idempotency-Key", "one");

        (await harness.PostAsAsync("user", Completions, Completion, Keyed)).EnsureSuccessStatusCode();
        (await harness.PostAsAsync("user", Completions, Completion, Keyed)).EnsureSuccessStatusCode();
        Assert.Single(harness.Prefill.Started, IsOfTest);

        var others = await harness.PostAsAsync("other", Completions, """{"prompt":[7],"max_tokens":2}""", Keyed);
        others.EnsureSuccessStatusCode();
        Assert.Equal(2, harness.Prefill.Started.Count(IsOfTest));
    }

    [Fact]
    public async Task Prompts_are_kept_in_a_partition_of_their_tenant()
    {
        using var keys = KeyFile.OfRoles();
        keys.Add("friend-1", "one", "inference").Add("friend-2", "two", "inference")
            .Limit("one", new JsonObject { ["share_prefixes"] = true })
            .Limit("two", new JsonObject { ["share_prefixes"] = true });
        await using var harness = await StartAsync(keys);

        foreach (var name in (string[])["user", "other", "friend-1", "friend-2"])
        {
            await harness.PostAsAsync(name, Completions, Completion);
            await harness.PostAsAsync(
                name, Completions, """{"prompt":[5],"max_tokens":2,"cache_salt":"tenant:acme:"}""");
        }

        var salts = harness.Prefill.Started.Where(IsOfTest).Select(start => start.PrefixSalt).ToList();
        Assert.Equal(
            [
                "tenant:acme:", "tenant:acme:tenant:acme:", "tenant:globex:", "tenant:globex:tenant:acme:",
                "", "salt:tenant:acme:", "", "salt:tenant:acme:",
            ],
            salts);
    }

    [Fact]
    public async Task Requests_beyond_the_allowance_are_refused_with_when_to_come_back()
    {
        using var keys = KeyFile.OfRoles().Limit("acme", new JsonObject { ["requests_per_minute"] = 2 });
        await using var harness = await StartAsync(keys, new HandClock());

        var first = await harness.PostAsAsync("user", Completions, Completion);
        Assert.Equal("2", first.Headers.GetValues("x-ratelimit-limit-requests").Single());
        Assert.Equal("1", first.Headers.GetValues("x-ratelimit-remaining-requests").Single());
        (await harness.PostAsAsync("user", Completions, Completion)).EnsureSuccessStatusCode();
        var third = await harness.PostAsAsync("user", Completions, Completion);

        Assert.Equal(HttpStatusCode.TooManyRequests, third.StatusCode);
        Assert.Equal("rate_limit_exceeded", (await Json.OfAsync(third)).Text("error.code"));
        Assert.InRange(third.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        (await harness.PostAsAsync("other", Completions, Completion)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Tokens_that_were_reserved_and_not_used_come_back()
    {
        using var keys = KeyFile.OfRoles().Limit("acme", new JsonObject { ["tokens_per_minute"] = 100 });
        await using var harness = await StartAsync(keys, new HandClock());
        harness.Script = start => SiloHarness.Limited(start, TestModel.Encode("a"));

        // Each reserves 81 of 100 and uses a few.
        for (var i = 0; i < 4; i++)
        {
            (await harness.PostAsAsync("user", Completions, """{"prompt":[5],"max_tokens":80}"""))
                .EnsureSuccessStatusCode();
            await Eventually.UntilAsync(() => harness.Door.InsideCount == 0, "the place is left");
        }

        // The positive control: one that is running keeps what it reserved.
        harness.Prefill.Hold = new Hold(0);
        var running = harness.PostAsAsync("user", Completions, """{"prompt":[5],"max_tokens":80}""");
        await harness.Prefill.Hold.Reached;
        var refused = await harness.PostAsAsync("user", Completions, """{"prompt":[5],"max_tokens":80}""");
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        harness.Prefill.Hold.Release();
        (await running).EnsureSuccessStatusCode();
    }

    [Theory]
    [InlineData("max_prompt_tokens", 3, """{"prompt":[5,6,7,8]}""", "prompt")]
    [InlineData("max_prompt_tokens", 3, """{"prompt":[[5,6],[7,8]]}""", "prompt")]
    [InlineData("max_choices", 2, """{"prompt":[5],"n":3}""", "n")]
    [InlineData("max_choices", 2, """{"prompt":[[5],[6],[7]]}""", "n")]
    public async Task One_request_may_cost_so_much(string limit, int value, string body, string field)
    {
        using var keys = KeyFile.OfRoles().Limit("acme", new JsonObject { [limit] = value });
        await using var harness = await StartAsync(keys);

        var refused = await harness.PostAsAsync("user", Completions, body);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Equal(field, (await Json.OfAsync(refused)).Text("error.param"));
        (await harness.PostAsAsync("other", Completions, body)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Answers_are_cut_to_the_tenants_length_and_priority_only_goes_down()
    {
        using var keys = KeyFile.OfRoles().Limit("acme", new JsonObject
        {
            ["max_output_tokens"] = 3,
            ["priority"] = 7,
        });
        await using var harness = await StartAsync(keys);

        await harness.PostAsAsync("user", Completions, """{"prompt":[5],"max_tokens":50,"priority":-9}""");
        await harness.PostAsAsync("user", Completions, """{"prompt":[5],"max_tokens":50,"priority":9}""");

        var started = harness.Prefill.Started.Where(IsOfTest).ToList();
        Assert.Equal([3u, 3u], started.Select(start => start.MaxOutputTokens));
        Assert.Equal([7, -2], started.Select(start => start.Priority));
    }

    [Fact]
    public async Task A_tenant_has_so_many_requests_at_once()
    {
        using var keys = KeyFile.OfRoles().Limit("acme", new JsonObject { ["max_concurrent"] = 1 });
        await using var harness = await StartAsync(keys);
        harness.Prefill.Hold = new Hold(0);
        var running = harness.PostAsAsync("user", Completions, Completion);
        await harness.Prefill.Hold.Reached;

        var refused = await harness.PostAsAsync("user", Completions, Completion);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        harness.Prefill.Hold.Release();
        (await running).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_flood_waits_at_the_gateway_and_others_go_past_it()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await StartAsync(keys);
        var line = harness.Silo.Services.GetRequiredService<DispatchLine>();
        var hold = harness.Prefill.Hold = new Hold(0);
        var flood = Enumerable.Range(0, 20).Select(i => harness.PostAsAsync("user", Completions, Long(i))).ToList();
        await Eventually.UntilAsync(() => line.WaitingCount == 18, "18 of 20 wait");

        var other = harness.PostAsAsync("other", Completions, Long(99));

        await Eventually.UntilAsync(
            () => harness.Prefill.Started.Any(start => start.PromptTokens[0] == 99), "the other tenant is dispatched");
        Assert.Equal(3, harness.Prefill.Started.Count(IsOfTest));
        var started = harness.Prefill.Started.Single(start => start.PromptTokens[0] == 99);
        Assert.All(
            harness.Prefill.Started.Where(start => IsOfTest(start) && start != started),
            start => Assert.True(start.Priority < started.Priority));
        hold.Release();
        foreach (var request in flood.Append(other)) (await request).EnsureSuccessStatusCode();
        Assert.Equal(0, line.WaitingCount);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_tenant_cannot_make_the_silo_compile_without_end_and_others_can()
    {
        using var keys = KeyFile.OfRoles();
        // A budget that grew back faster than a slow machine uses it would never end.
        await using var harness = await StartAsync(keys, new HandClock());
        static string Constrained(int number) => string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"prompt":[5],"max_tokens":2,"structured_outputs":{"regex":"a{{number}}b*"} }""");
        HttpResponseMessage? refused = null;
        var allowed = 0;
        for (; refused is null; allowed++)
        {
            Assert.InRange(allowed, 0, 2000);
            var answer = await harness.PostAsAsync("user", Completions, Constrained(allowed + 1));
            if (answer.StatusCode == HttpStatusCode.TooManyRequests) refused = answer;
            else answer.EnsureSuccessStatusCode();
        }

        Assert.InRange(allowed, 100, 2000);
        Assert.Equal("rate_limit_exceeded", (await Json.OfAsync(refused)).Text("error.code"));
        Assert.True(refused.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        // What is known costs nothing, and others have a budget of their own.
        (await harness.PostAsAsync("user", Completions, Constrained(allowed - 1))).EnsureSuccessStatusCode();
        (await harness.PostAsAsync("other", Completions, Constrained(5000))).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Whoever_leaves_the_line_holds_nothing_of_it()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await StartAsync(keys);
        var line = harness.Silo.Services.GetRequiredService<DispatchLine>();
        var hold = harness.Prefill.Hold = new Hold(0);
        using var gone = new CancellationTokenSource();
        var flood = Enumerable.Range(0, 10).Select(i => SendAsync(harness, Long(i), gone.Token)).ToList();
        await Eventually.UntilAsync(() => line.WaitingCount == 8, "8 of 10 wait");

        await gone.CancelAsync();

        foreach (var request in flood) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await Eventually.UntilAsync(
            () => line.WaitingCount == 0 && harness.Door.InsideCount == 0, "nobody waits and nobody is inside");
        hold.Release();
        (await harness.PostAsAsync("user", Completions, Completion)).EnsureSuccessStatusCode();
        await harness.UntilQuietAsync();
    }

    private static Task<HttpResponseMessage> SendAsync(SiloHarness harness, string json, CancellationToken gone)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, Completions)
        {
            Content = new StringContent(json, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")),
        };
        request.Headers.Authorization = new("Bearer", KeyFile.KeyOf("user"));
        return harness.Client.SendAsync(request, gone);
    }

    private static Task<SiloHarness> StartAsync(KeyFile keys, TimeProvider? time = null) =>
        SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path }, time);

    /// <summary>So long that two of them are all that a prefill worker is given at once.</summary>
    private static string Long(int first) => string.Create(
        CultureInfo.InvariantCulture,
        $$"""{"prompt":[{{first}},{{string.Join(',', Enumerable.Repeat(5, 599))}}],"max_tokens":2}""");

    private static bool IsOfTest(Wire.StartSequence start) =>
        !start.Key.RequestId.StartsWith("ready-", StringComparison.Ordinal);
}
