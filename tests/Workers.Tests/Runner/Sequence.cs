using Krewe.Abstractions;

namespace Krewe.Workers.Tests.Runner;

/// <summary>One token stream over a runner: its tokens, its own blocks, and the steps that a test asks for.</summary>
internal sealed class Sequence(IModelRunner runner, IEnumerable<int> prompt, int[] blocks)
{
    private readonly StepBatch _batch = new();

    public List<int> Tokens { get; } = [.. prompt];

    public int Computed { get; private set; }

    /// <summary>Computes the rest of the prompt in chunks and returns the last row's logits.</summary>
    public float[] Prefill(int chunkTokens = int.MaxValue)
    {
        var logits = Array.Empty<float>();
        while (Computed < Tokens.Count)
        {
            _batch.Clear();
            var row = AddTo(_batch, chunkTokens);
            runner.Run(_batch);
            if (row is { } index) logits = LogitsOf(_batch, index);
        }

        return logits;
    }

    /// <summary>Adds the next rows to a step; logits are wanted when they reach the last token.</summary>
    public int? AddTo(StepBatch batch, int chunkTokens = int.MaxValue)
    {
        var count = Math.Min(chunkTokens, Tokens.Count - Computed);
        var tokens = Tokens.GetRange(Computed, count).ToArray();
        var used = runner.Kv.Geometry.BlocksFor(Computed + count);
        var row = batch.Add(
            tokens, Computed, blocks.AsSpan(0, used), runner.Kv.Geometry.BlockTokens, Computed + count == Tokens.Count);
        Computed += count;
        return row;
    }

    public float[] LogitsOf(StepBatch batch, int index) =>
        batch.Logits.AsSpan(index * runner.VocabularySize, runner.VocabularySize).ToArray();

    /// <summary>Forgets that the last tokens were computed.</summary>
    public void Rewind(int tokens) => Computed -= tokens;

    /// <summary>Takes its first tokens for computed: their KV is in the arena by another way.</summary>
    public void Skip(int tokens) => Computed += tokens;

    /// <summary>Takes over what another sequence of the same tokens has computed, all but the last token.</summary>
    public void TakeKvFrom(Sequence source)
    {
        var bytes = new byte[runner.Kv.Geometry.BlockBytes];
        for (var i = 0; i < runner.Kv.Geometry.BlocksFor(source.Computed); i++)
        {
            source.CopyOut(i, bytes);
            runner.Kv.CopyIn(new BlockId(blocks[i]), bytes);
        }

        Computed = source.Computed - 1;
    }

    /// <summary>Greedy decode until a stop token (not included) or <paramref name="limit"/> tokens.</summary>
    public List<int> Decode(int limit, params int[] stopTokens)
    {
        var output = new List<int>();
        var logits = Prefill();
        while (output.Count < limit)
        {
            var token = Array.IndexOf(logits, logits.Max());
            if (stopTokens.Contains(token)) break;
            output.Add(token);
            Tokens.Add(token);
            logits = Prefill();
        }

        return output;
    }

    private void CopyOut(int index, byte[] bytes) => runner.Kv.CopyOut(new BlockId(blocks[index]), bytes);
}
