using System.Globalization;
using Krewe.Abstractions;
using Krewe.Control.Access;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Access;

/// <summary>Makes a request its tenant's: bounds its cost, and puts its KV into the tenant's partition.</summary>
internal static class TenantRules
{
    /// <summary>
    /// Throws <see cref="KreweException"/> for more prompt or answers than the tenant may ask for. Longer answers are
    /// cut to its limit, as they are to the model's; a longer time to its time.
    /// </summary>
    public static GenerationRequest Apply(GenerationRequest request, TenantPolicy tenant)
    {
        var prompts = request.Specs.Where(spec => spec.Choice % request.Candidates == 0)
            .Sum(spec => (long)spec.PromptTokens.Length);
        Demand(prompts, tenant.MaxPromptTokens, "prompt tokens", request.Origin?.Kind == AnswerKind.Text
            ? "prompt"
            : "messages");
        Demand(request.Specs.Length, tenant.MaxChoices, "answers", "n");
        return request with
        {
            Tenant = tenant,
            Specs = [.. request.Specs.Select(spec => Apply(spec, tenant))],
        };
    }

    private static RequestSpec Apply(RequestSpec spec, TenantPolicy tenant) => spec with
    {
        PrefixSalt = tenant.PrefixSalt(spec.PrefixSalt),
        MaxOutputTokens = Math.Min(spec.MaxOutputTokens, tenant.MaxOutputTokens ?? int.MaxValue),
        MinOutputTokens = Math.Min(spec.MinOutputTokens, tenant.MaxOutputTokens ?? int.MaxValue),
        // With several tenants a client's own word can only put it behind others.
        Priority = tenant.Name == TenantPolicy.Anonymous
            ? spec.Priority
            : tenant.Priority + Math.Clamp(spec.Priority, -TenantPolicy.PriorityMax, 0),
        Deadline = tenant.MaxTime is { } time && spec.ArrivedAt + time < spec.Deadline
            ? spec.ArrivedAt + time
            : spec.Deadline,
    };

    private static void Demand(long asked, int? max, string what, string field)
    {
        if (max is not { } limit || asked <= limit) return;
        throw new KreweException(
            ErrorCode.InvalidRequest,
            string.Create(
                CultureInfo.InvariantCulture,
                $"The request has {asked} {what}; your limit is {limit} in one request. Split it or ask for less."),
            field);
    }
}
