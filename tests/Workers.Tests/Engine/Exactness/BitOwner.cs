using Krewe.Abstractions.Wire;

namespace Krewe.Workers.Tests;

/// <summary>Keeps one stream's tokens with the bits of their log-probabilities, and forgets every other's.</summary>
internal sealed class BitOwner(string request) : ISequenceOwner
{
    public List<(uint Token, uint LogprobBits)> Bits { get; } = [];

    public string? Failure { get; private set; }

    public bool IsReleased { get; private set; }

    public void Deliver(TokenBatch tokens)
    {
        foreach (var run in tokens.Runs.Where(run => run.Key.RequestId == request))
        {
            for (var i = 0; i < run.Tokens.Count; i++)
            {
                Bits.Add((run.Tokens[i], BitConverter.SingleToUInt32Bits(run.Logprobs[i].Logprob)));
                Bits.AddRange(run.Logprobs[i].TopLogprobs.Select(
                    (value, place) => (run.Logprobs[i].TopTokens[place], BitConverter.SingleToUInt32Bits(value))));
            }
        }
    }

    public void Deliver(SequenceEvent change)
    {
        if (change.Key.RequestId != request) return;
        if (change.Kind == SequenceEventKind.Failed) Failure = change.Message;
        if (change.Kind == SequenceEventKind.Released) IsReleased = true;
    }
}
