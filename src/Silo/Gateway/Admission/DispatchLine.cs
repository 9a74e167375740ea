using Krewe.Abstractions;
using Krewe.Control.Admission;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Requests;
using Krewe.Silo.Links;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>
/// Between the door and the workers. As many prompts are handed out as keep the prefill workers busy; the others wait
/// here, where tenants take turns by the tokens they were served (<see cref="WaitingLine"/>), and not in a worker's
/// queue, where whoever came first is first. Without API keys there is one tenant, and nobody waits. Behind all that
/// wait comes the batch lane. Invariant: a turn that was given is in exactly one count until it is over.
/// </summary>
internal sealed class DispatchLine(ClusterView view, KeyRing keys, TimeProvider time) : IDisposable
{
    /// <summary>Prompts in a prefill worker's hands that keep it busy while the next is on its way.</summary>
    private const int PromptsPerWorker = 2;

    /// <summary>Short prompts: so many tokens may be under way however many prompts they are.</summary>
    private const int TokensPerWorker = 1024;

    /// <summary>Prompts that a tenant may have under way although others fill the window: it never waits for theirs to
    /// end.</summary>
    private const int OwnPrompts = 2;

    /// <summary>
    /// Unused share that a tenant keeps, in tokens: its burst goes first. Sixteen prompts of 1,024 tokens, which arrive
    /// together about never at a quarter of what the workers do; with four the slowest of a hundred waited 2.3 times as
    /// long as without a flood, with sixteen 1.02 times (computed for equal prompts).
    /// </summary>
    private const int ClaimTokens = 16 << 10;

    /// <summary>Batch requests of one decode worker.</summary>
    private const int BatchPerWorker = 32;

    /// <summary>How often a full window is looked at: a worker's load report opens it as well as a first token.
    /// </summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private readonly WaitingLine _online = new(QueueOrder.Arrival, Fairness.VirtualTokens, claimTokens: ClaimTokens);
    private readonly WaitingLine _batch = new(QueueOrder.Arrival, Fairness.VirtualTokens);
    private readonly Dictionary<string, Turn> _waiting = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _promptsOf = new(StringComparer.Ordinal);
    private ITimer? _look;
    private long _numbers;
    private int _prompts;
    private long _promptTokens;
    private int _batchPrompts;
    private int _batchRunning;

    /// <summary>Requests that wait here, batch lines left out.</summary>
    public int WaitingCount
    {
        get
        {
            lock (_gate) return _online.Count;
        }
    }

    /// <summary>
    /// Waits for the request's turn. Throws <see cref="KreweException"/> (DeadlineExceeded) when its time is over
    /// before. Whoever gets the turn must end it.
    /// </summary>
    public async Task<Turn> TakeAsync(GenerationRequest request, CancellationToken cancellationToken)
    {
        Turn turn;
        lock (_gate)
        {
            turn = new Turn(this, request, $"{++_numbers}");
            if (keys.IsClosed || request.IsBatch)
            {
                _waiting.Add(turn.Key, turn);
                (request.IsBatch ? _batch : _online).Enqueue(turn.Entry(time.GetElapsedTime(0).TotalMilliseconds));
                Pump();
            }
            else
            {
                Give(turn);
            }
        }

        try
        {
            if (turn.Given.IsCompletedSuccessfully) return turn;
            var left = request.Spec.Deadline - time.GetUtcNow();
            await turn.Given.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, cancellationToken);
            return turn;
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException)
        {
            turn.End(0);
            if (e is OperationCanceledException) throw;
            throw new KreweException(
                ErrorCode.DeadlineExceeded, "The request waited for its turn until its time was over.");
        }
    }

    public void Dispose() => _look?.Dispose();

    /// <summary>Every prompt of the turn has its first token, or will never have.</summary>
    internal void LeavePrefill(Turn turn)
    {
        lock (_gate)
        {
            LeavePrefillLocked(turn);
            Pump();
        }
    }

    internal void End(Turn turn, long outputTokens)
    {
        lock (_gate)
        {
            if (_waiting.Remove(turn.Key)) (turn.IsBatch ? _batch : _online).Cancel(turn.Key);
            LeavePrefillLocked(turn);
            if (turn.IsRunning)
            {
                turn.IsRunning = false;
                if (turn.IsBatch) _batchRunning--;
                (turn.IsBatch ? _batch : _online).Charge(turn.Tenant, outputTokens, turn.Weight);
            }

            Pump();
        }
    }

    private void Pump()
    {
        if (_online.Count + _batch.Count == 0) return;
        var roles = view.Links.Select(link => link.Descriptor.Role).ToList();
        var prefill = Math.Max(1, roles.Count(role => role != WorkerRole.Decode));
        var decode = Math.Max(1, roles.Count(role => role != WorkerRole.Prefill));
        while (HasRoom(prefill)
            ? _online.TryDequeue(out var next)
            : _online.TryDequeue(tenant => _promptsOf.GetValueOrDefault(tenant) < OwnPrompts, out next))
            Give(_waiting[next.RequestId]);

        var batchMax = BatchPerWorker * decode;
        while (_online.Count == 0 && _batchRunning < batchMax && _batchPrompts < PromptsPerWorker * prefill
            && !IsDecodeFull() && _batch.TryDequeue(out var next))
            Give(_waiting[next.RequestId]);

        if (_online.Count + _batch.Count == 0) return;
        _look ??= time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _look.Change(LookEvery, Timeout.InfiniteTimeSpan);
    }

    private void Look()
    {
        lock (_gate) Pump();
    }

    private bool HasRoom(int prefillWorkers) =>
        (_prompts < PromptsPerWorker * prefillWorkers || _promptTokens < TokensPerWorker * prefillWorkers)
        && (_prompts == 0 || !IsDecodeFull());

    /// <summary>Every worker that decodes has sequences waiting: more prefills would only hold blocks.</summary>
    private bool IsDecodeFull()
    {
        var decoders = view.Links.Where(link => link.Descriptor.Role != WorkerRole.Prefill).ToList();
        return decoders.Count > 0 && decoders.TrueForAll(link => link.Load is { WaitingSequences: > 0 });
    }

    private void Give(Turn turn)
    {
        _waiting.Remove(turn.Key);
        turn.IsRunning = turn.IsPrefilling = true;
        turn.IsBoosted = !turn.IsBatch && _online.Count > 0 && _online.IsWithinShare(turn.Tenant);
        if (turn.IsBatch)
        {
            _batchRunning++;
            _batchPrompts++;
        }
        else
        {
            _prompts++;
            _promptTokens += turn.PromptTokens;
            _promptsOf[turn.Tenant] = _promptsOf.GetValueOrDefault(turn.Tenant) + 1;
        }

        turn.Complete();
    }

    private void LeavePrefillLocked(Turn turn)
    {
        if (!turn.IsPrefilling) return;
        turn.IsPrefilling = false;
        if (turn.IsBatch)
        {
            _batchPrompts--;
            return;
        }

        _prompts--;
        _promptTokens -= turn.PromptTokens;
        if (--_promptsOf[turn.Tenant] == 0) _promptsOf.Remove(turn.Tenant);
    }
}
