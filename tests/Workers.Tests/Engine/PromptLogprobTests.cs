using Krewe.Abstractions.Wire;
using static Krewe.Workers.Tests.EngineBench;

namespace Krewe.Workers.Tests;

/// <summary>Each prompt token is scored once, in order, whatever the chunks and the prefix cache are.</summary>
public sealed class PromptLogprobTests
{
    [Theory]
    [InlineData(512)]
    [InlineData(16)]
    [InlineData(7)]
    [InlineData(1)]
    public async Task Every_prompt_token_but_the_first_is_scored_in_chunks_of_any_size(int budget)
    {
        await using var bench = new EngineBench(budget: budget);
        var prompt = Prompt(3, 50);

        var scores = Scores(bench, "a", prompt);

        // The fake model gives its one favourite token the logit 1 and all others 0.
        Assert.Equal(prompt.Length - 1, scores.Count);
        Assert.All(scores, (score, i) =>
        {
            Assert.Equal(2, score.TopTokens.Count);
            Assert.Equal(score.TopTokens[0] == prompt[i + 1] ? 1u : 2u, score.Rank);
        });
        Assert.Equal(FakeRunner.Answer(prompt, 5), bench.Owner.Tokens("a"));
        bench.AssertAllReturned();
    }

    [Fact]
    public async Task A_prompt_that_the_cache_has_is_scored_all_the_same()
    {
        await using var bench = new EngineBench();
        var prompt = Prompt(4, 64);

        var first = Scores(bench, "first", prompt);
        var second = Scores(bench, "second", prompt);
        bench.Post(Start("third", prompt, maxOutput: 5));
        bench.Finish();

        Assert.Equal(first, second);
        Assert.Equal(0u, bench.Owner.Event("second", SequenceEventKind.PrefillStarted).PrefixHitTokens);
        Assert.Equal(48u, bench.Owner.Event("third", SequenceEventKind.PrefillStarted).PrefixHitTokens);
    }

    [Fact]
    public async Task A_score_is_never_told_behind_the_first_token()
    {
        await using var bench = new EngineBench(budget: 16);
        var start = Start("a", Prompt(5, 40), maxOutput: 5);
        start.Sampling.PromptLogprobs = 0;
        var owner = new PromptOwner();
        bench.Engine.Post(new EngineCommand.Start(owner, start));

        bench.Finish();

        Assert.Equal(39, owner.ScoredBeforeFirstToken);
    }

    private static List<TokenLogprobs> Scores(EngineBench bench, string request, int[] prompt)
    {
        var start = Start(request, prompt, maxOutput: 5);
        start.Sampling.PromptLogprobs = 2;
        var owner = new PromptOwner { Also = bench.Owner };
        bench.Engine.Post(new EngineCommand.Start(owner, start));
        bench.Finish();
        return owner.Scores;
    }

    /// <summary>Demands that the runs leave no gap.</summary>
    private sealed class PromptOwner : ISequenceOwner
    {
        private bool _hasToken;

        public ISequenceOwner? Also { get; init; }

        public List<TokenLogprobs> Scores { get; } = [];

        public int ScoredBeforeFirstToken { get; private set; }

        public void Deliver(TokenBatch tokens)
        {
            foreach (var run in tokens.Prompts)
            {
                Assert.Equal((uint)Scores.Count + 1, run.FirstIndex);
                Scores.AddRange(run.Logprobs);
            }

            if (!_hasToken) ScoredBeforeFirstToken = Scores.Count;
            _hasToken |= tokens.Runs.Count > 0;
            Also?.Deliver(tokens);
        }

        public void Deliver(SequenceEvent change) => Also?.Deliver(change);
    }
}
