using System.Net;
using Krewe.Silo.Tests.Harness;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Gateway;

public sealed class HealthTests
{
    [Fact]
    public async Task A_silo_is_alive_without_workers_and_not_ready()
    {
        await using var harness = await SiloHarness.StartAsync();

        using var live = await harness.Client.GetAsync("/health/live");
        using var ready = await harness.Client.GetAsync("/health/ready");

        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("NoWorkers", (await Json.OfAsync(ready)).Text("reason"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/health/live")]
    [InlineData("/ping")]
    public async Task A_balancer_may_ask_with_head(string path)
    {
        await using var harness = await SiloHarness.StartAsync();

        using var live = await harness.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, path));
        using var ready = await harness.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/health/ready"));

        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Empty(await live.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Ready_means_that_a_generation_went_through_both_phases_and_is_asked_once_a_second()
    {
        // By this clock the second for which a result holds is not over.
        await using var harness = await SiloHarness.StartPairAsync(time: new HandClock());

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => harness.Client.GetAsync("/health/ready")));

        Assert.All(answers, answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.InRange(harness.Prefill.Started.Count, 1, 3);
        Assert.Equal(harness.Prefill.Started.Count, harness.Decode.Started.Count);
        Assert.StartsWith("ready-", harness.Decode.Started.First().Key.RequestId, StringComparison.Ordinal);
        Assert.Equal(2u, harness.Decode.Started.First().MaxOutputTokens);
        await harness.UntilQuietAsync();
    }

    [Fact]
    public async Task A_silo_that_got_its_workers_becomes_ready()
    {
        await using var harness = await SiloHarness.StartAsync();
        using var before = await harness.Client.GetAsync("/health/ready");
        await harness.AddAsync("prefill-0", Wire.WorkerRole.Prefill);
        await harness.AddAsync("decode-0", Wire.WorkerRole.Decode);

        await Eventually.UntilAsync(
            async () =>
            {
                using var ready = await harness.Client.GetAsync("/health/ready");
                return ready.StatusCode == HttpStatusCode.OK;
            },
            "it is ready");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, before.StatusCode);
    }
}
