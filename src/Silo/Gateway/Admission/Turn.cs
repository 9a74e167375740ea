using Krewe.Control.Admission;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>A request's turn in the <see cref="DispatchLine"/>, whose lock guards its state.</summary>
internal sealed class Turn(DispatchLine line, GenerationRequest request, string key)
{
    /// <summary>Levels of a worker's order by which a tenant within its share goes before those that flood.</summary>
    private const int Boost = 2;

    private readonly TaskCompletionSource _given = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Key => key;

    public string Tenant => request.Tenant.Name;

    public double Weight => request.Tenant.Weight;

    public bool IsBatch => request.IsBatch;

    /// <summary>Of all prompts.</summary>
    public int PromptTokens { get; } = request.Specs.Where(spec => spec.Choice % request.Candidates == 0)
        .Sum(spec => spec.PromptTokens.Length);

    public Task Given => _given.Task;

    internal bool IsRunning { get; set; }

    internal bool IsPrefilling { get; set; }

    internal bool IsBoosted { get; set; }

    /// <summary>The request as the workers get it.</summary>
    public GenerationRequest Dispatched() => IsBoosted
        ? request with { Specs = [.. request.Specs.Select(spec => spec with { Priority = spec.Priority + Boost })] }
        : request;

    public void LeavePrefill() => line.LeavePrefill(this);

    /// <summary>Given or not, it is over. Safe to call again.</summary>
    public void End(long outputTokens) => line.End(this, outputTokens);

    internal QueueEntry Entry(double nowMs) => new()
    {
        RequestId = key,
        Tenant = Tenant,
        Weight = Weight,
        Priority = request.Spec.Priority,
        ArrivedMs = nowMs,
        WorkMs = PromptTokens,
        Tokens = PromptTokens,
    };

    internal void Complete() => _given.TrySetResult();
}
