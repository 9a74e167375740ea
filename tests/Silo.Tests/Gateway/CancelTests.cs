using Krewe.Silo.Tests.Harness;

namespace Krewe.Silo.Tests.Gateway;

/// <summary>A client that goes away cancels its work everywhere, at whatever moment it goes.</summary>
public sealed class CancelTests
{
    private const string Path = "/v1/completions";

    [Theory]
    [InlineData(0, false)]
    [InlineData(3, false)]
    [InlineData(0, true)]
    [InlineData(3, true)]
    public async Task A_client_that_goes_away_frees_both_workers(int heldIndex, bool stream)
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = new Hold(heldIndex);
        (heldIndex == 0 ? harness.Prefill : harness.Decode).Hold = hold;
        using var leave = new CancellationTokenSource();
        var answering = harness.PostStreamAsync(
            Path, $$"""{"prompt":[5],"max_tokens":50,"stream":{{(stream ? "true" : "false")}}}""", leave.Token);
        await hold.Reached;
        var headersSent = stream && heldIndex > 0;
        if (headersSent)
        {
            (await answering).Dispose();
        }
        else
        {
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
        }

        await harness.UntilQuietAsync();
        var id = harness.Prefill.Started.Single().Key.RequestId;
        await Eventually.UntilAsync(
            async () => (await harness.GetJsonAsync($"/v1/requests/{id}")).Text("outcome") == "cancelled",
            "the record says cancelled");
        Assert.Contains(harness.Decode.Started.Single().Key, harness.Decode.Aborted);
    }

    [Fact]
    public async Task A_hundred_requests_that_are_left_at_random_moments_leave_nothing_behind()
    {
        const int Seed = 7;
        var random = new Random(Seed);
        await using var harness = await SiloHarness.StartPairAsync();

        var clients = Enumerable.Range(0, 100).Select(_ => random.Next(4)).Select(async textPieces =>
        {
            using var events = new EventStream(
                await harness.PostStreamAsync(Path, """{"prompt":[5],"max_tokens":50,"stream":true}"""));
            for (var i = 0; i < textPieces; i++) await events.NextAsync();
        });
        await Task.WhenAll(clients).InTime();

        await harness.UntilQuietAsync();
        Assert.Equal(0, harness.Counters.Contradicting);
    }
}
