using System.Runtime.InteropServices;
using Krewe.Abstractions;
using Krewe.Abstractions.Wire;
using Krewe.Control.Steps;

namespace Krewe.Workers;

/// <summary>Computing: one step of the batch, from the plan to the sampled tokens.</summary>
internal sealed partial class Engine
{
    /// <summary>Most waiting sequences shown to the planner.</summary>
    private const int CandidatesMax = 64;

    private readonly StepSnapshot _snapshot;
    private readonly StepPlan _plan = new();
    private readonly List<Sequence> _considered = [];
    private readonly List<StepPart> _planned = [];
    private long _steps;
    private long _prefillTokens;
    private long _decodeTokens;
    private float _stepMs;

    /// <summary>Plans and computes one step; false when there is nothing to do.</summary>
    private bool Step()
    {
        if (_ahead is not null)
        {
            GoOn();
            return true;
        }

        if (_running.Count == 0 && _waiting.Count == 0) return false;
        TakeSnapshot();
        StepPlanner.Plan(_snapshot, _plan);
        if (_plan.IsEmpty) return false;
        foreach (var handle in _plan.Spilled) SpillFull(_considered[handle]);
        foreach (var handle in _plan.Preempted) Preempt(_considered[handle]);
        _planned.Clear();
        foreach (var rows in _plan.Continued) _planned.Add(PartOf(_considered[rows.Handle], rows.Rows));
        foreach (var rows in _plan.Admitted) Admit(_considered[rows.Handle], rows.Rows);
        if (_planned.Count > 0) Compute();
        return true;
    }

    private void TakeSnapshot()
    {
        _considered.Clear();
        _snapshot.Running.Clear();
        _snapshot.Waiting.Clear();
        _snapshot.BudgetTokens = _settings.StepBudgetTokens;
        _snapshot.SequencesMax = _settings.MaxRunningSequences;
        _snapshot.BlockTokens = _kv.BlockTokens;
        _snapshot.AvailableBlocks = _kv.AvailableBlocks;
        _snapshot.ReceivingSequences = 0;
        foreach (var sequence in _sequences.Values)
        {
            if (sequence.Stage is SequenceStage.Receiving or SequenceStage.Restoring or SequenceStage.Fetching)
                _snapshot.ReceivingSequences++;
        }

        // Counting a sequence's own blocks matters only when one may have to be preempted in this step.
        var scarce = _kv.AvailableBlocks < _running.Count || (_waiting.Count > 0 && MayGiveWay(_waiting[0]));
        foreach (var sequence in _running) _snapshot.Running.Add(View(sequence, scarce));
        ShowWaiting();
        ShowStepTime();
    }

    /// <summary>
    /// The planner admits in order and stops at the first that does not fit: what lies behind more rows than a step has
    /// would only cost prefix look-ups.
    /// </summary>
    private void ShowWaiting()
    {
        var rows = 0;
        for (var i = 0; i < Math.Min(_waiting.Count, CandidatesMax) && rows < _snapshot.BudgetTokens; i++)
        {
            var view = ViewWaiting(_waiting[i]);
            _snapshot.Waiting.Add(view);
            if (!view.Pulls) rows += view.KnownTokens - (view.HitBlocks * _kv.BlockTokens);
        }
    }

    private bool MayGiveWay(Sequence first)
    {
        foreach (var sequence in _running)
        {
            if (sequence.Priority < first.Priority) return true;
        }

        return false;
    }

    private StepSequence View(Sequence sequence, bool scarce)
    {
        _considered.Add(sequence);
        return new StepSequence
        {
            Handle = _considered.Count - 1,
            Priority = sequence.Priority,
            Arrival = sequence.Arrival,
            ArrivedMs = sequence.ArrivedMs,
            ExpectedMs = sequence.ExpectedMs,
            KnownTokens = sequence.KnownTokens,
            ComputedTokens = sequence.ComputedTokens,
            HeldBlocks = sequence.Blocks.Count,
            Grows = sequence.Grows,
            Pulls = sequence.Pulls,
            ReleasableBlocks = scarce ? _kv.ReleasableBlocks(sequence) : 0,
        };
    }

    private StepSequence ViewWaiting(Sequence sequence)
    {
        var hit = _kv.Peek(sequence);
        return View(sequence, scarce: false) with { HitBlocks = hit.Blocks, HitEvictableBlocks = hit.EvictableBlocks };
    }

    private void Preempt(Sequence sequence)
    {
        LogPreempted(_logger, sequence.Key, sequence.ComputedTokens);
        _settings.Watch?.Metrics.Preemptions.Add();
        CallBack(sequence, "The source preempted it.");
        _running.Remove(sequence);
        _kv.Release(sequence);
        sequence.Stage = SequenceStage.Waiting;
        _waiting.Add(sequence);

        // It grew while it ran: alone in the pool it would still not fit, so waiting would never end.
        if (_kv.BlocksFor(sequence.KnownTokens) > _kv.TotalBlocks)
            Fail(sequence, ErrorCode.KvPoolTooSmall, TooSmall(sequence.KnownTokens));
    }

    private void Admit(Sequence sequence, int rows)
    {
        _waiting.Remove(sequence);
        _kv.Admit(sequence);
        if (sequence.Pulls)
        {
            StartPull(sequence);
            return;
        }

        if (BeginRestore(sequence, rows)) return;
        if (sequence.Restore is null && BeginFetch(sequence)) return;
        Run(sequence);

        // An earlier admission of this step may have evicted what this one was to hit: the rows are then a first chunk.
        // A restore may have left fewer than planned.
        _planned.Add(PartOf(sequence, Math.Min(rows, sequence.KnownTokens - sequence.ComputedTokens)));
        if (sequence.Restore is null) OfferFilledBlocks(sequence);
    }

    private void Run(Sequence sequence)
    {
        sequence.Stage = SequenceStage.Running;
        _running.Add(sequence);
        if (sequence.PrefillReported) return;
        sequence.PrefillReported = true;
        var (hit, restored) = ((uint)sequence.ComputedTokens, (uint)sequence.RestoredBlocks);
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.PrefillStarted, change =>
        {
            change.PrefixHitTokens = hit;
            change.RestoredBlocks = restored;
        });
    }

    private void Compute()
    {
        HoldBeforeStep(_planned);
        foreach (var part in _planned) _kv.Grow(part.Sequence);
        if (!TryBeginAhead()) ComputeNow();
    }

    /// <summary>Computes the planned rows, for which there are blocks, and returns when they are there.</summary>
    private void ComputeNow()
    {
        var begun = _time.GetTimestamp();
        var work = WorkOfPlanned();
        var parts = CollectionsMarshal.AsSpan(_planned);
        var progress = BeginProgress(parts);

        // :: Step 4
        var prefill = PrefillWork();
        _compute.Gate = GateOfStep();
        _compute.Run(parts, progress);
        foreach (ref var part in parts)
        {
            if (!SettleRestore(part.Sequence)) continue;
            if (part.Fault is { } fault) Fail(part.Sequence, ErrorCode.EngineFault, fault);
            else Advance(part);
        }

        OfferGrownBlocks();
        progress?.Finish();
        var ms = _time.GetElapsedTime(begun).TotalMilliseconds;
        CountStep(ms);
        // A step that waited for a restore says nothing of what computing costs.
        if (_compute.Gate is null)
        {
            _stepTime.Observe(work, ms);
            if (prefill.Tokens > 0) _prefillMeter.Add(prefill.Tokens, prefill.Pairs, ms / 1000);
        }
    }

    private void CountStep(double ms)
    {
        _steps++;
        _settings.Watch?.Metrics.StepEnded(ms, PlannedRows());
        _stepMs += ((float)ms - _stepMs) * (_steps == 1 ? 1f : 0.1f);
    }

    private void Advance(in StepPart part)
    {
        var sequence = part.Sequence;
        var decodes = sequence.SampledCount > 0 && part.Rows == 1;
        if (decodes) _decodeTokens++;
        else _prefillTokens += part.Rows;
        if (part.PromptLogitRow is not null && !TryScorePrompt(part)) return;
        sequence.ComputedTokens += part.Rows;
        _kv.InsertFull(sequence);
        if (part.LogitRow is null)
        {
            OfferFilledBlocks(sequence);
            return;
        }

        try
        {
            // :: Step 7
            TakeToken(sequence, _compute.Sample(part));
        }
        catch (KreweException e)
        {
            Fail(sequence, e.Code, e.Message);
        }
    }

    /// <summary>A sampled token: told to the owner, and the sequence ends, is handed off, or goes on.</summary>
    private void TakeToken(Sequence sequence, SampledToken token)
    {
        var index = sequence.OutputCount;
        sequence.Append(token);
        sequence.SampledCount++;
        var finish = sequence.FinishAfterNewest(_runner.MaxContextTokens);
        _outbox.Add(sequence, index, token, finish);
        if (sequence.SampledCount == 1 && !sequence.WasPulled) TellPrefillFinished(sequence, finish);
        if (finish != FinishReason.Unspecified) End(sequence, null, "The stream ended.");
        else if (sequence.Source is not null) HoldForPuller(sequence, token.Logprobs);
    }

    private void TellPrefillFinished(Sequence sequence, FinishReason finish)
    {
        _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.PrefillFinished);
        if (sequence.Source is null && finish == FinishReason.Unspecified)
            _outbox.Tell(sequence.Owner, sequence.Key, SequenceEventKind.DecodeStarted);
    }
}
