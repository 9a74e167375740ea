using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Control.Admission;
using Krewe.Grains;
using Krewe.Silo.Access;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>Lets requests in or refuses them, and knows how many of whom are inside.</summary>
internal sealed class Door(IClusterView view, ClusterOptions options, KeyRing keys, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _empty = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, int> _insideOf = new(StringComparer.Ordinal);
    private readonly TenantBudgets _budgets = new();
    private int _inside;
    private bool _isDraining;

    /// <summary>Requests that were let in and have not left.</summary>
    public int InsideCount
    {
        get
        {
            lock (_gate) return _inside;
        }
    }

    public bool IsDraining
    {
        get
        {
            lock (_gate) return _isDraining;
        }
    }

    /// <summary>
    /// Lets the request in; it is inside until its place is left. Throws <see cref="KreweException"/> when it is
    /// refused.
    /// </summary>
    public Place Enter(GenerationRequest request)
    {
        var workers = ReadyWorkers();
        var tenant = request.Tenant;
        lock (_gate)
        {
            // :: Step 2
            Decide(tenant, workers, request.IsBatch);
            // The batch lane takes what others leave, and nobody's allowance.
            var tokens = request.IsBatch ? 0 : CostOf(request);
            var budget = request.IsBatch ? null : _budgets.Take(tenant, tokens, NowMs());
            if (budget is { Wait.Ticks: > 0 }) throw Exhausted(tenant, budget);
            _inside++;
            if (!request.IsBatch) _insideOf[tenant.Name] = _insideOf.GetValueOrDefault(tenant.Name) + 1;
            return new Place(this, request, tokens, budget);
        }
    }

    /// <summary>
    /// Throws what <see cref="Enter"/> would throw to any request of the tenant: before its body is read, so that one
    /// that floods costs others headers and a hash for what it is refused. Where there is one tenant nothing is said.
    /// </summary>
    public void Glance(TenantPolicy tenant)
    {
        if (!keys.IsClosed) return;
        var workers = ReadyWorkers();
        lock (_gate) Decide(tenant, workers, isBatch: false);
    }

    /// <summary>Lets nobody in any more; completes when the last one has left.</summary>
    public Task DrainAsync()
    {
        lock (_gate)
        {
            _isDraining = true;
            SignalWhenEmpty();
        }

        return _empty.Task;
    }

    /// <summary>Called by the place, once.</summary>
    internal void Leave(Place place, long usedTokens)
    {
        lock (_gate)
        {
            _inside--;
            var tenant = place.Request.Tenant.Name;
            if (!place.Request.IsBatch)
            {
                if (--_insideOf[tenant] == 0) _insideOf.Remove(tenant);
                _budgets.Return(tenant, place.ReservedTokens - usedTokens);
            }

            SignalWhenEmpty();
        }
    }

    private List<WorkerView> ReadyWorkers() =>
        [.. view.Workers.Where(worker => worker.State == WorkerState.Ready)];

    private void Decide(TenantPolicy tenant, List<WorkerView> workers, bool isBatch)
    {
        var decision = AdmissionPolicy.Decide(new AdmissionSnapshot
        {
            OpenRequests = _inside,
            MaxRequests = options.MaxRequestsPerSilo,
            Draining = _isDraining,
            PrefillWorkers = workers.Count(worker => worker.Descriptor.Role != WorkerRole.Decode),
            DecodeWorkers = workers.Count(worker => worker.Descriptor.Role != WorkerRole.Prefill),
            TenantRequests = keys.IsClosed && !isBatch ? _insideOf.GetValueOrDefault(tenant.Name) : null,
            TenantMaxRequests = tenant.MaxConcurrent,
        });
        if (decision is Refused refused)
            throw new KreweException(refused.Code, refused.Message) { RetryAfter = refused.RetryAfter };
    }

    /// <summary>Prompts once each, and all that may come out.</summary>
    private static long CostOf(GenerationRequest request)
    {
        long tokens = 0;
        foreach (var spec in request.Specs)
            tokens += spec.MaxOutputTokens + (spec.Choice % request.Candidates == 0 ? spec.PromptTokens.Length : 0);
        return tokens;
    }

    private static KreweException Exhausted(TenantPolicy tenant, BudgetState budget)
    {
        var what = budget.Requests is { Left: < 1 } requests
            ? string.Create(CultureInfo.InvariantCulture, $"{requests.Limit} requests")
            : string.Create(CultureInfo.InvariantCulture, $"{budget.Tokens?.Limit} tokens");
        return new KreweException(
            ErrorCode.RateLimited,
            $"Tenant '{tenant.Name}' has used its allowance of {what} a minute; try again in "
            + $"{Math.Ceiling(budget.Wait.TotalSeconds).ToString(CultureInfo.InvariantCulture)} s.")
        {
            RetryAfter = budget.Wait,
        };
    }

    private double NowMs() => time.GetElapsedTime(0).TotalMilliseconds;

    private void SignalWhenEmpty()
    {
        if (_isDraining && _inside == 0) _empty.TrySetResult();
    }
}
