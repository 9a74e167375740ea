using Krewe.Abstractions;
using Krewe.Silo.Tests.Harness;
using Wire = Krewe.Abstractions.Wire;

namespace Krewe.Silo.Tests.Links;

public sealed class LoadTests
{
    [Fact]
    public async Task What_was_dispatched_counts_until_the_worker_s_own_report_does()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var hold = harness.Prefill.Hold = new Hold(0);
        var answering = harness.PostAsync("/v1/completions", """{"prompt":[5,6,7],"max_tokens":2}""");
        await hold.Reached;

        var dispatched = harness.View.Find("prefill-0")!.View;
        Assert.Equal((1, 3L), (dispatched.DispatchedSequences, dispatched.DispatchedTokens));
        // The worker has said that it accepted the sequence, so its next report counts it.
        await Eventually.UntilAsync(
            async () =>
            {
                await harness.Prefill.ReportLoadAsync();
                return harness.View.Find("prefill-0")!.View.DispatchedSequences == 0;
            },
            "the report takes over");
        Assert.Equal(1, harness.View.Find("prefill-0")!.View.RunningSequences);

        hold.Release();
        using var response = await answering;
        await harness.UntilQuietAsync();
        Assert.Equal((0, 0L), Counts(harness, "prefill-0"));
        Assert.Equal((0, 0L), Counts(harness, "decode-0"));
    }

    [Fact]
    public async Task A_draining_worker_is_shown_as_such_and_gets_no_work()
    {
        await using var harness = await SiloHarness.StartPairAsync();
        var changed = harness.View.WhenWorkersChangedAsync(CancellationToken.None);

        await harness.Decode.ReportLoadAsync(draining: true);

        await changed.InTime();
        Assert.Equal(WorkerState.Draining, harness.View.Find("decode-0")!.View.State);
        using var response = await harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":2}""");
        Assert.Equal("no_workers", (await Json.OfAsync(response)).Text("error.code"));
    }

    [Fact]
    public async Task A_mixed_worker_gets_the_whole_sequence()
    {
        await using var harness = await SiloHarness.StartAsync();
        var mixed = await harness.AddAsync("mixed-0", Wire.WorkerRole.Mixed);

        var answer = await Json.OfAsync(
            await harness.PostAsync("/v1/completions", """{"prompt":[5],"max_tokens":50}"""));

        Assert.Equal(SiloHarness.Answer, answer.Text("choices.0.text"));
        Assert.Equal(Wire.SequencePart.Whole, mixed.Started.Single().Part);
        await harness.UntilQuietAsync();
    }

    private static (int Sequences, long Tokens) Counts(SiloHarness harness, string id) =>
        harness.View.Find(id)!.View is var view ? (view.DispatchedSequences, view.DispatchedTokens) : default;
}
