using Krewe.Abstractions.Wire;
using SequenceKey = Krewe.Abstractions.SequenceKey;

namespace Krewe.Workers;

/// <summary>
/// What a step says to each owner: its tokens in one batch, and state changes. A change flushes the tokens before it,
/// so that it never overtakes them (RELEASED is the last word on a key).
/// </summary>
/// <param name="watch">Told of the changes too; null: nobody measures.</param>
internal sealed class OwnerOutbox(EngineWatch? watch)
{
    private readonly Dictionary<ISequenceOwner, TokenBatch> _batches = [];

    /// <summary>Adds one token at its output position.</summary>
    public void Add(Sequence sequence, int index, SampledToken token, FinishReason finish)
    {
        var run = sequence.Owner.TakeRun();
        (run.Key, run.FirstIndex, run.Finish) = (sequence.WireKey, (uint)index, finish);
        run.Tokens.Add((uint)token.Token);
        if (token.Logprobs is { } logprobs) run.Logprobs.Add(logprobs);
        BatchOf(sequence.Owner).Runs.Add(run);
    }

    /// <summary>Adds log-probabilities of a prompt. The owner takes them before the tokens of the same batch.</summary>
    public void Add(ISequenceOwner owner, PromptRun run) => BatchOf(owner).Prompts.Add(run);

    public void Tell(ISequenceOwner owner, SequenceKey key, SequenceEventKind kind, Action<SequenceEvent>? fill = null)
    {
        Flush(owner);
        var change = new SequenceEvent { Key = key.ToWire(), Kind = kind };
        fill?.Invoke(change);
        watch?.Changed(change);
        owner.Deliver(change);
    }

    /// <summary>Sends every owner its batch.</summary>
    public void Flush()
    {
        // :: Step 8
        foreach (var (owner, batch) in _batches) owner.Deliver(batch);
        _batches.Clear();
    }

    private TokenBatch BatchOf(ISequenceOwner owner)
    {
        if (!_batches.TryGetValue(owner, out var batch)) _batches.Add(owner, batch = owner.TakeBatch());
        return batch;
    }

    private void Flush(ISequenceOwner owner)
    {
        if (_batches.Remove(owner, out var batch)) owner.Deliver(batch);
    }
}
