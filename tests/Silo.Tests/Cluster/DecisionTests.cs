using System.Net;
using Krewe.Abstractions;
using Krewe.Control.Cluster;
using Krewe.Control.Routing;
using Krewe.Silo.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;

namespace Krewe.Silo.Tests.Cluster;

public sealed class DecisionTests
{
    [Fact]
    public async Task Decisions_are_told_from_the_number_that_was_read_last()
    {
        await using var harness = await SiloHarness.StartAsync();
        var log = harness.Silo.Services.GetRequiredService<DecisionLog>();
        log.Add(DateTimeOffset.UnixEpoch, "migrate", "moved 1 request from w2 to w5: freeness -4 vs 31");
        log.Add(DateTimeOffset.UnixEpoch, "scale", "advise 2 prefill workers instead of 1: late");

        var all = await harness.GetJsonAsync("/v1/cluster/decisions");
        var newer = await harness.GetJsonAsync("/v1/cluster/decisions?after=1");

        Assert.Equal("moved 1 request from w2 to w5: freeness -4 vs 31", all.Text("data.0.what"));
        Assert.Equal((2, "scale"), (newer.Int("data.0.number"), newer.Text("data.0.kind")));
        Assert.Equal(1, newer.At("data").GetArrayLength());
        using var wrong = await harness.Client.GetAsync("/v1/cluster/decisions?after=last");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
    }

    [Fact]
    public async Task The_policy_that_was_named_chooses_and_says_so()
    {
        foreach (var name in RoutingPolicies.Names)
        {
            await using var harness = await SiloHarness.StartPairAsync(
                options => options with { RoutingPolicy = name });
            var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
            {
                Content = new StringContent("""{"prompt":[5]}""", null, "application/json"),
                Headers = { { "X-Request-Id", "one" } },
            };
            using var response = await harness.Client.SendAsync(message);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            var life = await harness.GetJsonAsync("/v1/requests/one");
            Assert.StartsWith($"{name}: ", life.Text("plan.reason"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_policy_that_does_not_exist_stops_the_start_with_all_that_do()
    {
        var e = await Assert.ThrowsAsync<KreweException>(
            () => SiloHarness.StartAsync(options => options with { RoutingPolicy = "best" }));
        Assert.Equal(ErrorCode.InvalidOptions, e.Code);
        Assert.Contains("round-robin", e.Message, StringComparison.Ordinal);
    }
}
