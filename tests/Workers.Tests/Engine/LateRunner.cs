using Krewe.Abstractions;
using Krewe.Kernels;
using Krewe.Kernels.Cuda;

namespace Krewe.Workers.Tests;

/// <summary>
/// Plays a device that is given steps ahead: computes them by another runner, the newest as late as it may or as early,
/// and draws tokens where they stay until the step behind has taken them.
/// </summary>
/// <param name="late">A step is computed when it is waited for; false: when the one before it is.</param>
internal sealed class LateRunner(IModelRunner inner, bool late) : IAheadRunner
{
    private readonly Queue<StepBatch> _underWay = new();
    private readonly HashSet<StepBatch> _computed = [];
    private readonly Sampler _sampler = new(inner.VocabularySize);
    private int[] _drawn = [];

    /// <summary>Plays a device that takes another row's token.</summary>
    public bool MixesUpRows { get; set; }

    /// <summary>Asked at each step ahead; true: there is no room for it.</summary>
    public Func<bool>? Refuses { get; set; }

    public bool RunsAhead => true;

    public int VocabularySize => inner.VocabularySize;

    public int MaxContextTokens => inner.MaxContextTokens;

    public NumericsFingerprint Numerics => inner.Numerics;

    public IKvArena Kv => inner.Kv;

    public bool TryQueue(StepBatch batch)
    {
        Assert.False(batch.WantsLogits);
        if (_underWay.Count == 2 || Refuses?.Invoke() == true) return false;
        _underWay.Enqueue(batch);
        return true;
    }

    public void Finish()
    {
        var batch = _underWay.Dequeue();
        if (!_computed.Remove(batch)) Compute(batch);
        if (late || !_underWay.TryPeek(out var next)) return;
        _computed.Add(next);
        Compute(next);
    }

    public void Abandon()
    {
        _underWay.Clear();
        _computed.Clear();
    }

    public void Run(StepBatch batch)
    {
        Assert.Empty(_underWay);
        inner.Run(batch);
    }

    public void Dispose()
    {
        _sampler.Dispose();
        inner.Dispose();
    }

    private void Compute(StepBatch batch)
    {
        for (var row = 0; row < batch.RowCount; row++)
        {
            if (batch.Tokens[row] >= 0) continue;
            var from = ~batch.Tokens[row];
            if (MixesUpRows) from = (from + 1) % _drawn.Length;
            batch.Tokens[row] = Math.Max(0, _drawn[from]);
        }

        inner.Run(batch);
        _drawn = new int[batch.LogitRowCount];
        for (var row = 0; row < batch.LogitRowCount; row++)
        {
            _drawn[row] = Draw(batch.DrawOf(row)!.Value, batch.Logits.AsSpan(row * VocabularySize, VocabularySize));
            if (_drawn[row] >= 0) batch.SetSampled(row, _drawn[row]);
        }
    }

    private int Draw(in SampleDraw draw, ReadOnlySpan<float> logits)
    {
        try
        {
            var settings = new SamplerSettings
            {
                Temperature = draw.Temperature,
                TopP = draw.TopP,
                MinP = draw.MinP,
                TopK = draw.TopK == 0 ? null : draw.TopK,
                Seed = draw.Seed,
                Choice = draw.Choice,
            };
            return _sampler.Sample(logits, settings, draw.Position, [], [], []);
        }
        catch (InvalidLogitsException)
        {
            return -1;
        }
    }
}
