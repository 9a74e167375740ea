using Krewe.Control.Kv;
using Krewe.Control.Steps;

namespace Krewe.Simulation;

/// <summary>Steps: the production planner decides, the cost model says how long it takes.</summary>
public sealed partial class CellSimulator
{
    /// <summary>
    /// A memory-bound decode step is as fast as ever with this share of the processors (Nexus' saturation point), and
    /// loses <see cref="SplitContention"/> while a prefill uses the same memory.
    /// </summary>
    private const double SplitSaturation = 0.5;

    private const double SplitContention = 0.15;

    private void StartStep(CellLane lane)
    {
        if (lane.Busy || !lane.Worker.IsUp) return;
        EnterDecoding(lane);
        var load = default(StepLoad);
        if (!TryDecode(lane, ref load) && !TryPlan(lane, ref load)) return;
        var ns = Math.Max(1, (long)(StepSeconds(lane, load) * 1e9));
        lane.Busy = true;
        lane.Steps++;
        lane.BusyNs += ns;
        _events.Add(_events.NowNs + ns, StepEndKind, lane.Index, lane.Version);
    }

    /// <summary>
    /// Where all that runs only decodes, nothing waits and every block is there, the plan is known: a row for each.
    /// </summary>
    private bool TryDecode(CellLane lane, ref StepLoad load)
    {
        var count = lane.Decoding.Count;
        if (count == 0 || count < lane.Running.Count || count > lane.BudgetTokens) return false;
        if (lane.Worker.Waiting.Count > 0 || lane.Decoding.DueParts > lane.Worker.Pool.AvailableBlocks) return false;
        BeginDecoding(lane, ref load);
        return true;
    }

    private bool TryPlan(CellLane lane, ref StepLoad load)
    {
        TakeSnapshot(lane);
        if (_snapshot.Running.Count == 0 && _snapshot.Waiting.Count == 0) return false;
        StepPlanner.Plan(_snapshot, _plan);
        foreach (var handle in _plan.Preempted) Preempt(lane, _considered[handle]);
        var wholePrompts = _options.Mode == CellMode.Coloc && HasPrefill();
        var decoding = wholePrompts ? 0 : DecodingInPlan(lane);
        if (decoding > 0 && decoding < lane.Decoding.Count) ScatterDecoding(lane);
        else if (decoding > 0) BeginDecoding(lane, ref load);
        foreach (var rows in _plan.Continued)
        {
            var part = _considered[rows.Handle];
            if (part.Group is not null || (wholePrompts && IsDecode(part))) continue;
            Grow(part);
            Include(lane, part, rows.Rows, ref load);
        }

        foreach (var rows in _plan.Admitted) Admit(lane, _considered[rows.Handle], rows.Rows, ref load);
        return lane.Step.Count > 0 || lane.Decoding.IsInStep;
    }

    private void BeginDecoding(CellLane lane, ref StepLoad load)
    {
        load.AddDecodes(lane.Decoding.Count, lane.Decoding.ContextTokens);
        lane.Decoding.BeginStep(_grow);
    }

    private void EnterDecoding(CellLane lane)
    {
        if (lane.Entering.Count == 0) return;
        foreach (var part in lane.Entering)
        {
            if (part is { Stage: PartStage.Running, Group: null } && OnlyDecodes(part)) lane.Decoding.Enter(part);
        }

        lane.Entering.Clear();
    }

    private int DecodingInPlan(CellLane lane)
    {
        if (lane.Decoding.Count == 0) return 0;
        var count = 0;
        foreach (var rows in _plan.Continued) count += _considered[rows.Handle].Group is null ? 0 : 1;
        return count;
    }

    /// <summary>The plan leaves some of them out: each goes on alone.</summary>
    private static void ScatterDecoding(CellLane lane)
    {
        foreach (var part in lane.Running)
        {
            if (part.Group is null) continue;
            lane.Decoding.Leave(part);
            lane.Entering.Add(part);
        }
    }

    /// <summary>
    /// Nothing is left to do for it but a token and now and then a block in each step. A split worker moves its decodes
    /// between lanes.
    /// </summary>
    private bool OnlyDecodes(CellPart part) =>
        part is { Grows: true, Decodes: true, PendingTokens: 0 } && IsDecode(part)
        && _options.Mode != CellMode.Split && !LooksAtEach
        && (part.InsertedBlocks >= part.HashedBlocks || !_options.PrefixCache);

    private double StepSeconds(CellLane lane, in StepLoad load)
    {
        var seconds = _cost.StepSeconds(load);
        if (_options.Mode != CellMode.Split) return seconds;
        if (load.PrefillTokens > load.DecodeSequences) return seconds / lane.Share;
        var other = lane.Worker.Lanes[lane.Admits ? 1 : 0];
        return seconds * Math.Max(1, SplitSaturation / lane.Share) * (other.Busy ? 1 + SplitContention : 1);
    }

    private void TakeSnapshot(CellLane lane)
    {
        var worker = lane.Worker;
        _considered.Clear();
        _snapshot.Running.Clear();
        _snapshot.Waiting.Clear();
        _snapshot.BlockTokens = _options.BlockTokens;
        _snapshot.SequencesMax = _options.MaxRunningSequences;
        _snapshot.AvailableBlocks = worker.Pool.AvailableBlocks;
        _snapshot.ReceivingSequences = worker.Receiving;
        _snapshot.BudgetTokens = lane.BudgetTokens;
        var scarce = worker.Pool.AvailableBlocks < lane.Running.Count;
        var budget = lane.BudgetTokens;
        foreach (var part in lane.Running)
        {
            _snapshot.Running.Add(View(part, scarce));
            budget -= part.KnownTokens - part.ComputedTokens;
        }

        if (!lane.Admits) return;

        // The other lane's parts grow in the same pool: the planner leaves each of them a block.
        if (_options.Mode == CellMode.Split) _snapshot.ReceivingSequences += worker.Lanes[1].Running.Count;
        var blocks = worker.Pool.AvailableBlocks;
        var places = Math.Max(1, _options.MaxRunningSequences - lane.Running.Count - _snapshot.ReceivingSequences);
        for (var i = 0; i < Math.Min(places, worker.Waiting.Count); i++)
        {
            // The planner admits in order and stops at the first that does not fit: more would only cost look-ups.
            var part = worker.Waiting[i];
            if ((budget <= 0 && !part.Pulls) || blocks < 0) break;
            var view = ViewWaiting(part);
            _snapshot.Waiting.Add(view);
            blocks -= BlocksFor(part.KnownTokens) - view.HitBlocks + view.HitEvictableBlocks;
            if (!part.Pulls) budget -= part.KnownTokens - (view.HitBlocks * _options.BlockTokens);
        }

        // vLLM before chunking: the first prompt runs whole, however long it is.
        if (_options.Mode == CellMode.Coloc && _snapshot.Waiting.Count > 0)
        {
            var first = _snapshot.Waiting[0];
            _snapshot.BudgetTokens = Math.Max(lane.BudgetTokens, first.KnownTokens) + lane.Running.Count;
        }
    }

    private StepSequence View(CellPart part, bool scarce)
    {
        _considered.Add(part);
        return new StepSequence
        {
            Handle = _considered.Count - 1,
            Priority = 0,
            Arrival = part.Arrival,
            KnownTokens = part.KnownTokens,
            ComputedTokens = part.ComputedTokens,
            HeldBlocks = part.HeldBlocks,
            Grows = part.Grows,
            Pulls = part.Pulls,
            ReleasableBlocks = scarce ? part.Worker.Pool.ReleasableBlocks(part.Blocks) : 0,
        };
    }

    private StepSequence ViewWaiting(CellPart part)
    {
        var hit = part.Worker.Cache.Peek(Matchable(part));
        return View(part, scarce: false) with { HitBlocks = hit.Blocks, HitEvictableBlocks = hit.EvictableBlocks };
    }

    /// <summary>Whoever samples here must compute at least the last token; whoever pulls can use every block.</summary>
    private ReadOnlySpan<PrefixHash> Matchable(CellPart part)
    {
        if (!_options.PrefixCache) return [];
        var hashes = part.Request.Hashes;
        var usable = (part.Pulls ? part.KnownTokens : part.KnownTokens - 1) / _options.BlockTokens;
        return hashes[..Math.Min(usable, hashes.Length)];
    }

    private void Preempt(CellLane lane, CellPart part)
    {
        lane.Remove(part);
        part.Worker.Pool.Release(part.Blocks);
        part.Stage = PartStage.Waiting;
        part.ComputedTokens = part.InsertedBlocks = part.HeldBlocks = 0;
        part.Pulls = false;
        part.Request.Preemptions++;
        part.Worker.Waiting.Return(part);
        CountPending(part);
    }

    private void Admit(CellLane lane, CellPart part, int rows, ref StepLoad load)
    {
        var worker = part.Worker;
        worker.Waiting.Remove(part);
        part.HitBlocks = worker.Cache.Match(part.Blocks, Matchable(part));
        part.InsertedBlocks = part.HitBlocks;
        Grow(part);
        if (part.Pulls)
        {
            part.Stage = PartStage.Receiving;
            part.SentBlocks = part.HitBlocks;
            worker.Receiving++;
            SendFilledBlocks(part.Request);
            return;
        }

        part.Stage = PartStage.Running;
        part.ComputedTokens = part.HitBlocks * _options.BlockTokens;
        if (part.SampledTokens == 0)
        {
            part.Request.PrefixHitTokens = part.ComputedTokens;
            worker.HitTokens += part.ComputedTokens;
        }

        lane.Enter(part);
        Include(lane, part, rows, ref load);
    }

    private void Grow(CellPart part)
    {
        var blocks = BlocksFor(part.KnownTokens);
        if (blocks <= part.HeldBlocks) return;
        IntegrityException.Check(
            part.Worker.Pool.TryGrow(part.Blocks, blocks),
            "The plan gave a sequence a block that the pool does not have.");
        part.HeldBlocks = part.Blocks.Count;
    }

    private void Include(CellLane lane, CellPart part, int rows, ref StepLoad load)
    {
        part.Rows = rows;
        lane.Step.Add(part);
        if (IsDecode(part))
        {
            load.AddDecode(part.KnownTokens);
            return;
        }

        load.AddPrefill(rows, part.ComputedTokens, _cost.PrefillAttentionSeconds(rows, part.ComputedTokens));
        if (part.ComputedTokens + rows == part.KnownTokens) load.LogitRows++;
    }

    private void EndStep(CellLane lane)
    {
        lane.Busy = false;
        var tokens = lane.Decoding.EndStep();
        lane.Worker.ContextTokens += tokens;
        TokensTogether += tokens;
        var left = false;

        // A loop of its own, with nothing in it that waits: the processor fetches many parts at once from memory.
        foreach (var part in lane.Step) part.ComputedTokens += part.Rows;
        foreach (var part in lane.Step)
        {
            // Decodes come first in a step, in the order of arrival.
            EndDecoding(lane, IsDecodeEnd(part) ? part.Arrival : long.MaxValue);
            Computed(part, part.Rows);
            part.Rows = 0;
            InsertFull(part);
            if (!part.Grows) SendFilledBlocks(part.Request);
            if (part.ComputedTokens == part.KnownTokens) Sample(lane, part);
            left |= part.Stage != PartStage.Running;
        }

        EndDecoding(lane, long.MaxValue);
        if (left || _options.Mode == CellMode.Split) Leave(lane);
        lane.Step.Clear();
        _router.Report(lane.Worker, _events.NowNs);
        Wake(lane.Worker);
    }

    /// <summary>Ends those of the group that have their last token and arrived before <paramref name="arrival"/>.
    /// </summary>
    private void EndDecoding(CellLane lane, long arrival)
    {
        while (lane.Decoding.Ending is [var part, ..] && part.Arrival < arrival)
        {
            lane.Remove(part);
            End(part.Request, part);
        }
    }

    // Computed already: one row, and a token was there before.
    private static bool IsDecodeEnd(CellPart part) => part is { Rows: 1, SampledTokens: > 0 };

    /// <summary>Parts that ended, were handed off or moved to the decode lane no longer run here.</summary>
    private static void Leave(CellLane lane)
    {
        var kept = 0;
        var decodes = lane.Worker.Lanes[^1];
        for (var i = 0; i < lane.Running.Count; i++)
        {
            var part = lane.Running[i];
            if (part.Stage != PartStage.Running || part.Worker != lane.Worker) continue;
            if (lane != decodes && IsDecode(part)) decodes.Enter(part);
            else lane.Running[kept++] = part;
        }

        lane.Running.RemoveRange(kept, lane.Running.Count - kept);
    }

    private void Sample(CellLane lane, CellPart part)
    {
        SettlePending(part);
        if (part.SampledTokens == 0) part.Request.FirstTokenNs = _events.NowNs;
        if (part is { Grows: true, Decodes: false }) CountDecoding(part);
        part.KnownTokens++;
        if (part.Decodes) lane.Worker.ContextTokens++;
        if (part.KnownTokens == part.EndTokens) End(part.Request, part);
        else if (!part.Grows) Hold(part.Request);
        else if (part.Group is null) lane.Entering.Add(part);
    }

    private void InsertFull(CellPart part)
    {
        if (part.InsertedBlocks >= part.HashedBlocks || !_options.PrefixCache) return;
        var hashes = part.Request.Hashes;
        var full = Math.Min(part.ComputedTokens / _options.BlockTokens, hashes.Length);
        for (; part.InsertedBlocks < full; part.InsertedBlocks++)
            part.Worker.Cache.Insert(part.Blocks, part.InsertedBlocks, hashes[part.InsertedBlocks]);
    }

    private bool HasPrefill()
    {
        foreach (var rows in _plan.Continued)
        {
            if (!IsDecode(_considered[rows.Handle])) return true;
        }

        return _plan.Admitted.Count > 0;
    }

    private static bool IsDecode(CellPart part) =>
        part.KnownTokens - part.ComputedTokens == 1 && part.SampledTokens > 0;

    private int BlocksFor(int tokens) => (tokens + _options.BlockTokens - 1) / _options.BlockTokens;
}
