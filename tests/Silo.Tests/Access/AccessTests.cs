using System.Net;
using System.Text;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Access;
using Krewe.Silo.Tests.Harness;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Access;

public sealed class AccessTests
{
    private const string Completion = """{"prompt":[5],"max_tokens":2}""";

    private static readonly string[] Actions =
    [
        "/v1/cluster/requests/x/migrate", "/v1/cluster/requests/x/recompute", "/v1/cluster/workers/decode-0/cordon",
        "/v1/cluster/workers/decode-0/uncordon", "/v1/cluster/workers/decode-0/drain",
        "/v1/cluster/workers/decode-0/role", "/v1/cluster/workers/decode-0/stop",
    ];

    [Fact]
    public async Task Every_endpoint_says_who_may_use_it()
    {
        await using var harness = await SiloHarness.StartAsync();

        var endpoints = harness.Silo.Services.GetRequiredService<IEnumerable<EndpointDataSource>>()
            .SelectMany(source => source.Endpoints).OfType<RouteEndpoint>().ToList();

        Assert.True(endpoints.Count > 25, $"only {endpoints.Count} endpoints");
        Assert.All(endpoints, endpoint => Assert.True(
            endpoint.Metadata.GetMetadata<AccessRule>() is not null, $"{endpoint.RoutePattern.RawText} has no rule"));
    }

    [Fact]
    public async Task Without_a_key_nothing_is_served_but_health()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path });

        foreach (var path in (string[])["/health", "/ready", "/version", "/openapi.json"])
            Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync(null, path)).StatusCode);
        foreach (var path in (string[])["/v1/models", "/v1/cluster", "/v1/requests/x", "/load", "/v1/cluster/audit"])
            Assert.Equal(HttpStatusCode.Unauthorized, (await harness.GetAsAsync(null, path)).StatusCode);
        var refused = await harness.PostAsync("/v1/completions", Completion);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        Assert.Equal("invalid_api_key", (await Json.OfAsync(refused)).Text("error.code"));
        Assert.Equal("Bearer", refused.Headers.WwwAuthenticate.Single().Scheme);
        var wrong = await harness.PostAsAsync("nobody", "/v1/completions", Completion);
        Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
    }

    [Fact]
    public async Task A_key_is_taken_as_OpenAIs_clients_send_it_and_as_Anthropics_do()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path });

        (await harness.PostAsAsync("user", "/v1/completions", Completion)).EnsureSuccessStatusCode();
        var anthropic = await harness.SendAsync(
            null, HttpMethod.Post, "/v1/messages",
            """{"max_tokens":2,"messages":[{"role":"user","content":"hi"}]}""",
            request => request.Headers.Add("x-api-key", KeyFile.KeyOf("user")));
        anthropic.EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Without_the_operators_role_no_operator_action_is_reachable()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path });

        foreach (var path in Actions)
        {
            var refused = await harness.PostAsAsync("user", path, """{"target":"decode-0","role":"mixed"}""");
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
            Assert.Equal("permission_denied", (await Json.OfAsync(refused)).Text("error.code"));
            Assert.Equal(HttpStatusCode.Unauthorized, (await harness.PostAsync(path, "{}")).StatusCode);
        }

        foreach (var path in (string[])["/v1/cluster", "/v1/cluster/decisions", "/v1/cluster/audit"])
            Assert.Equal(HttpStatusCode.Forbidden, (await harness.GetAsAsync("user", path)).StatusCode);
        Assert.Empty(harness.Decode.Aborted);

        // The positive control: the same with the role.
        foreach (var name in (string[])["ops", "root"])
        {
            var done = await harness.PostAsAsync(name, "/v1/cluster/workers/decode-0/cordon", "");
            Assert.Equal(HttpStatusCode.OK, done.StatusCode);
            Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync(name, "/v1/cluster")).StatusCode);
        }
    }

    [Fact]
    public async Task An_operator_without_inference_does_not_generate()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(options => options with { ApiKeys = keys.Path });

        Assert.Equal(
            HttpStatusCode.Forbidden, (await harness.PostAsAsync("ops", "/v1/completions", Completion)).StatusCode);
        Assert.Equal(
            HttpStatusCode.OK, (await harness.PostAsAsync("root", "/v1/completions", Completion)).StatusCode);
    }

    [Fact]
    public async Task Actions_are_put_down_with_who_and_what_and_never_a_key()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartPairAsync(
            options => options with { ApiKeys = keys.Path, AuditLog = Path.Combine(keys.Folder, "audit.jsonl") });

        await harness.PostAsAsync("ops", "/v1/cluster/workers/decode-0/cordon", "");
        await harness.PostAsAsync("ops", "/v1/cluster/workers/nobody/role", """{"role":"mixed"}""");
        await harness.PostAsAsync("user", "/v1/cluster/workers/decode-0/stop", "");

        var entries = (await Json.OfAsync(await harness.GetAsAsync("ops", "/v1/cluster/audit"))).At("data");
        Assert.Equal(2, entries.GetArrayLength());
        Assert.Equal("ops", entries[0].Text("key"));
        Assert.Equal("/v1/cluster/workers/decode-0/cordon", entries[0].Text("path"));
        Assert.Equal(200, entries[0].Int("status"));
        Assert.Equal(404, entries[1].Int("status"));
        var later = (await Json.OfAsync(await harness.GetAsAsync("ops", "/v1/cluster/audit?after=1"))).At("data");
        Assert.Equal(1, later.GetArrayLength());
        var file = await File.ReadAllLinesAsync(Path.Combine(keys.Folder, "audit.jsonl"));
        Assert.Equal(2, file.Length);
        Assert.DoesNotContain(KeyFile.KeyOf("ops"), string.Concat(file), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_are_read_again_without_a_restart_and_a_broken_file_changes_nothing()
    {
        using var keys = new KeyFile().Add("first", "acme", "inference");
        await using var harness = await SiloHarness.StartAsync(options => options with { ApiKeys = keys.Folder });
        var ring = harness.Silo.Services.GetRequiredService<KeyRing>();
        Assert.Equal(HttpStatusCode.Unauthorized, (await harness.GetAsAsync("second", "/v1/models")).StatusCode);

        keys.Add("second", "acme", "inference");
        await Eventually.UntilAsync(() => ring.Table.Keys.Count == 2, "the second key is known");
        Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync("second", "/v1/models")).StatusCode);

        await File.WriteAllTextAsync(keys.Path, "{\"keys\": [{");
        ring.Reload();
        Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync("second", "/v1/models")).StatusCode);
        File.Delete(keys.Path);
        ring.Reload();
        Assert.Equal(HttpStatusCode.OK, (await harness.GetAsAsync("first", "/v1/models")).StatusCode);
    }

    [Fact]
    public async Task A_file_without_keys_or_with_a_mistake_stops_the_start()
    {
        using var keys = new KeyFile().Add("a", "acme", "emperor");

        var error = await Assert.ThrowsAsync<KreweException>(
            () => SiloHarness.StartAsync(options => options with { ApiKeys = keys.Path }));

        Assert.Equal(ErrorCode.InvalidOptions, error.Code);
        Assert.Contains("emperor", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Origin", "http://evil.example")]
    [InlineData("Sec-Fetch-Site", "cross-site")]
    [InlineData("X-Forwarded-For", "203.0.113.7")]
    [InlineData("Host", "evil.example")]
    public async Task Without_keys_only_this_machine_operates_the_cluster(string header, string value)
    {
        await using var harness = await SiloHarness.StartPairAsync();
        const string Cordon = "/v1/cluster/workers/decode-0/cordon";

        var refused = await harness.SendAsync(
            null, HttpMethod.Post, Cordon, "{}", request => request.Headers.TryAddWithoutValidation(header, value));

        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        (await harness.PostAsync(Cordon, "{}")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task A_browser_is_asked_for_a_key_where_a_page_is_and_its_answer_is_taken()
    {
        using var keys = KeyFile.OfRoles();
        await using var harness = await SiloHarness.StartAsync(options => options with { ApiKeys = keys.Path });

        var asked = await harness.SendAsync(
            null, HttpMethod.Get, "/v1/cluster", null, request => request.Headers.Add("Accept", "text/html"));
        Assert.Equal("Basic", asked.Headers.WwwAuthenticate.Single().Scheme);
        var pair = Convert.ToBase64String(Encoding.UTF8.GetBytes($"any:{KeyFile.KeyOf("ops")}"));
        var given = await harness.SendAsync(
            null, HttpMethod.Get, "/v1/cluster", null,
            request => request.Headers.Add("Authorization", $"Basic {pair}"));
        given.EnsureSuccessStatusCode();
    }

    [Fact]
    public void An_admin_may_do_everything() =>
        Assert.All(Enum.GetValues<AccessRoles>(), role => Assert.True((AccessRoles.Admin & role) == role));
}
