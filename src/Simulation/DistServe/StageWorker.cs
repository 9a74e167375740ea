namespace Krewe.Simulation.DistServe;

/// <summary>
/// One pipeline stage: one batch at a time, waiting prefills before waiting decodes. Stages of an instance form a ring:
/// a decode that leaves the last stage unfinished enters the first again. This is how DistServe's own simulator
/// behaves.
/// </summary>
internal sealed class StageWorker(EventSchedule<double> events, StageCosts costs, bool first, bool last)
{
    /// <summary>Most context tokens of one decode batch; the authors' simulator hard-codes it.</summary>
    public const int DecodeBatchTokens = 50_000;

    private readonly LinkedList<SimulatedSequence> _prefills = new();
    private readonly LinkedList<SimulatedSequence> _decodes = new();
    private bool _busy;
    private int _prefillsInProgress;
    private long _batches;

    public required Action<SimulatedSequence> Prefilled { get; init; }

    public StageWorker? Next { get; set; }

    /// <summary>What dispatch compares on a prefill instance.</summary>
    public int PrefillLoad => _prefillsInProgress + _prefills.Count;

    /// <summary>What dispatch compares on a decode instance; decodes that run now are not counted.</summary>
    public int DecodeLoad => _decodes.Count;

    public void EnqueuePrefill(SimulatedSequence sequence)
    {
        _prefills.AddLast(sequence);
        Wake();
    }

    public void EnqueueDecode(SimulatedSequence sequence)
    {
        _decodes.AddLast(sequence);
        Wake();
    }

    // What starting a step through Ray costs; hard-coded there as well.
    private static double RayOverheadMs(long tokens) => 2 + (0.0001 * tokens);

    // Waking goes through the queue so that everything enqueued at this instant is in the first batch.
    private void Wake()
    {
        if (_busy) return;
        _busy = true;
        events.AfterThisInstant(RunNextBatch);
    }

    private void RunNextBatch()
    {
        if (_prefills.Count > 0) RunPrefill();
        else if (_decodes.Count > 0) RunDecode();
        else _busy = false;
    }

    private void RunPrefill()
    {
        var batch = first ? TakePrefills() : TakeTagged();
        var tokens = batch.Sum(s => (long)s.PromptTokens);
        var delay = costs.PrefillMs(tokens, batch.Sum(s => (double)s.PromptTokens * s.PromptTokens));
        if (first) delay += RayOverheadMs(tokens);
        _prefillsInProgress = batch.Count;
        events.At(events.Now + delay, () =>
        {
            _prefillsInProgress = 0;
            foreach (var sequence in batch)
            {
                if (last) FinishPrefill(sequence);
                else Next!.EnqueuePrefill(sequence);
            }

            RunNextBatch();
        });
    }

    private List<SimulatedSequence> TakePrefills()
    {
        var batch = new List<SimulatedSequence>();
        var room = (long)costs.CapacityTokens;
        _batches++;
        while (_prefills.First is { } node && node.Value.PromptTokens <= room)
        {
            room -= node.Value.PromptTokens;
            node.Value.BatchTag = _batches;
            batch.Add(node.Value);
            _prefills.RemoveFirst();
        }

        return batch;
    }

    private List<SimulatedSequence> TakeTagged()
    {
        var tag = _prefills.First!.Value.BatchTag;
        var batch = new List<SimulatedSequence>();
        for (var node = _prefills.First; node is not null;)
        {
            var next = node.Next;
            if (node.Value.BatchTag == tag)
            {
                batch.Add(node.Value);
                _prefills.Remove(node);
            }

            node = next;
        }

        return batch;
    }

    private void FinishPrefill(SimulatedSequence sequence)
    {
        sequence.FirstTokenMs = events.Now;
        if (sequence.OutputTokens <= 0) sequence.ExitMs = events.Now;
        else Prefilled(sequence);
    }

    private void RunDecode()
    {
        var batch = TakeDecodes();
        var context = batch.Sum(s => (long)s.ContextTokens);
        var delay = costs.DecodeMs(context + batch.Count, batch.Count);
        if (first) delay += RayOverheadMs(context);
        events.At(events.Now + delay, () =>
        {
            foreach (var sequence in batch)
            {
                if (last) sequence.DecodedTokens++;
                if (last && sequence.DecodedTokens >= sequence.OutputTokens) sequence.ExitMs = events.Now;
                else Next!.EnqueueDecode(sequence);
            }

            RunNextBatch();
        });
    }

    private List<SimulatedSequence> TakeDecodes()
    {
        var batch = new List<SimulatedSequence>();
        var room = first ? DecodeBatchTokens : long.MaxValue;
        while (_decodes.First is { } node && node.Value.ContextTokens + 1 <= room)
        {
            room -= node.Value.ContextTokens + 1;
            batch.Add(node.Value);
            _decodes.RemoveFirst();
        }

        return batch;
    }
}
