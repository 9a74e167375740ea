using System.Globalization;
using Krewe.Abstractions.Wire;
using Krewe.Workers;

namespace Krewe.Cli;

/// <summary>One stream of a scenario: its tokens, and when each of them arrived.</summary>
internal sealed class StreamClock(LocalEngine engine, TimeProvider time, long epoch)
{
    private readonly List<int> _tokens = [];
    private readonly List<TimeSpan> _arrivals = [];
    private TaskCompletionSource? _reached;
    private int _wanted;

    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Since the epoch, a timestamp.</summary>
    public IReadOnlyList<TimeSpan> Arrivals => _arrivals;

    /// <summary>The stream from begin to end. A stream is followed once.</summary>
    public async Task FollowAsync(string name, int[] prompt, int outputTokens, CancellationToken cancellationToken)
    {
        await foreach (var run in engine.GenerateAsync(Describe(name, prompt, outputTokens), cancellationToken))
        {
            foreach (var token in run.Tokens)
            {
                _tokens.Add((int)token);
                _arrivals.Add(time.GetElapsedTime(epoch));
                if (_tokens.Count == _wanted) _reached!.SetResult();
            }
        }
    }

    /// <summary>Ends when so many tokens have arrived; to be asked for before the stream is followed.</summary>
    public Task ReachAsync(int tokens)
    {
        _reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _wanted = tokens;
        return _reached.Task;
    }

    private static StartSequence Describe(string name, int[] prompt, int outputTokens)
    {
        var start = new StartSequence
        {
            Key = new SequenceKey { RequestId = name, Epoch = 1 },
            Part = SequencePart.Whole,
            MaxOutputTokens = (uint)outputTokens,
            IgnoreEos = true,
            Sampling = new SamplingParameters { Temperature = 0, TopP = 1, RepetitionPenalty = 1 },
        };
        start.PromptTokens.AddRange(prompt.Select(token => (uint)token));
        return start;
    }

    public static string Name(string kind, int number) =>
        string.Create(CultureInfo.InvariantCulture, $"{kind}-{number}");
}
