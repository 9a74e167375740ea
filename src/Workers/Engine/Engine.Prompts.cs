using Krewe.Abstractions;
using Krewe.Abstractions.Wire;

namespace Krewe.Workers;

/// <summary>Log-probabilities of prompt tokens: each prompt row's logits are wanted, not only the last one's.</summary>
internal sealed partial class Engine
{
    /// <summary>Logits of one sequence's prompt rows in one step, in floats (16 MiB): bounds what they cost.</summary>
    private const int PromptLogitsMax = 4 << 20;

    /// <summary>A sequence whose prompt is scored computes no more rows a step than it may keep logits of.</summary>
    private StepPart PartOf(Sequence sequence, int rows) => new(
        sequence,
        sequence.ScoresPrompt ? Math.Min(rows, Math.Max(1, PromptLogitsMax / _runner.VocabularySize)) : rows);

    /// <summary>Tells the owner what the part's rows say of the prompt; false when the sequence failed by it.</summary>
    private bool TryScorePrompt(in StepPart part)
    {
        var sequence = part.Sequence;
        var first = Math.Max(sequence.ScoredPromptTokens, sequence.ComputedTokens + 1);
        var end = Math.Min(sequence.PromptCount, sequence.ComputedTokens + part.Rows + 1);
        if (first >= end) return true;
        var run = new PromptRun { Key = sequence.WireKey, FirstIndex = (uint)first };
        try
        {
            for (var index = first; index < end; index++) run.Logprobs.Add(_compute.ScorePrompt(part, index));
        }
        catch (KreweException e)
        {
            Fail(sequence, e.Code, e.Message);
            return false;
        }

        sequence.ScoredPromptTokens = end;
        _outbox.Add(sequence.Owner, run);
        return true;
    }
}
