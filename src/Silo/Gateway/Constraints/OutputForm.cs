using Krewe.Abstractions;
using Krewe.Models;
using Krewe.Silo.Gateway.Reasoning;
using Krewe.Silo.Gateway.Requests;

namespace Krewe.Silo.Gateway.Constraints;

/// <summary>What the output of a request must look like.</summary>
/// <param name="Constraint">For the workers; "" = anything.</param>
/// <param name="Tools">The functions that may be called in it; null = none.</param>
internal sealed record OutputForm(string Constraint, ToolUse? Tools)
{
    /// <summary>How thoughts before it are told apart; null = they are not.</summary>
    public ReasoningUse? Thoughts { get; init; }

    /// <summary>How long they may be; null = as long as the output.</summary>
    public ThoughtLimit? Limit { get; init; }

    /// <summary>
    /// Reads and checks the fields. Throws <see cref="KreweException"/> that names the one that cannot be kept.
    /// </summary>
    /// <param name="root">The body, of chat's fields.</param>
    /// <param name="tools">What was read of the tools; null where there are none.</param>
    /// <param name="continuesText">The output goes on with a text.</param>
    /// <param name="thoughts">Of the model, which may come before what has a form; null = none.</param>
    /// <param name="limit">Of thoughts, told apart or not; null = none.</param>
    /// <param name="checks">Of the model.</param>
    /// <param name="tenant">Who asks; "" = nobody is told apart.</param>
    public static OutputForm Read(
        RequestField root, ToolUse? tools, bool continuesText, ReasoningUse? thoughts, ThoughtLimit? limit,
        ConstraintChecks checks, string tenant)
    {
        var asked = ConstraintFields.Read(root);
        if (tools is null && asked is null) return new OutputForm("", null) { Thoughts = thoughts, Limit = limit };
        var before = thoughts is { IsForbidden: false } && checks.IsWritable(ReasoningUse.Closing)
            ? thoughts with { EndsByTagAlone = true }
            : null;
        // Where the form takes no thought there is none to limit.
        if (!checks.IsWritable(ReasoningUse.Closing)) limit = null;
        RefuseOwnEnds(root, checks);
        if (tools is null)
        {
            var spec = asked!.Spec with { ContinuesText = continuesText };
            spec = before?.Before(spec) ?? spec;
            checks.Demand(spec, tenant, e => Refusal(e, asked.Path));
            return new OutputForm(spec.Write(), null) { Thoughts = before, Limit = before is null ? null : limit };
        }

        if (asked is not null)
        {
            if (asked.Spec.Kind is not (ConstraintKind.JsonObject or ConstraintKind.JsonSchema))
            {
                throw new KreweException(
                    ErrorCode.InvalidRequest, $"'{asked.Path}' cannot stand beside 'tools'; send one of them.",
                    asked.Path);
            }

            checks.Demand(asked.Spec, tenant, e => Refusal(e, asked.Path));
        }

        var whole = new ConstraintSpec
        {
            Kind = ConstraintKind.Tools,
            Tools = tools.Spec with { Answer = tools.Spec.MayAnswer ? asked?.Spec : null },
            ContinuesText = continuesText,
        };
        var beginsFree = tools.Spec.MayAnswer && asked is null;
        if (!beginsFree) whole = before?.Before(whole) ?? whole;
        checks.Demand(whole, tenant, e => Refusal(e, "tools", tools.Places));
        // Where a call counts at the output's start alone, text behind thoughts must not be taken for one.
        var call = ToolCallText.Of(tools.Spec.Style);
        var callsAnywhere = !call.OnlyAtStart;
        if (beginsFree && limit is not null)
            limit = callsAnywhere ? limit with { Call = call.Opening } : limit with { CallAtStart = call.Opening };
        return new OutputForm(whole.Write(), tools)
        {
            Thoughts = !beginsFree ? before : callsAnywhere ? thoughts : null,
            Limit = beginsFree || before is not null ? limit : null,
        };
    }

    /// <summary>What a constrained output is says where it ends: other fields must not say otherwise.</summary>
    private static void RefuseOwnEnds(RequestField root, ConstraintChecks checks)
    {
        const string Why = "cannot be combined with an output that must have a form: its form says where it ends. "
            + "Leave one of them out.";
        if (root.Find("min_tokens") is { } min && min.AsLong() > 0)
            throw new KreweException(ErrorCode.InvalidRequest, $"'{min.Path}' {Why}", min.Path);
        if (root.Find("ignore_eos") is { } ignore && ignore.AsBool())
            throw new KreweException(ErrorCode.InvalidRequest, $"'{ignore.Path}' {Why}", ignore.Path);
        foreach (var stop in root.Find("stop_token_ids")?.Items("an array of token ids") ?? [])
        {
            if (stop.Value.TryGetInt32(out var token) && token >= 0 && !checks.IsText(token)) continue;
            throw new KreweException(
                ErrorCode.InvalidRequest, $"'{stop.Path}' is a token of text; it {Why}", stop.Path);
        }
    }

    private static KreweException Refusal(ConstraintException error, string path, int[]? places = null)
    {
        var below = error.Path;
        // The functions that can be called may be some of the tools only.
        if (places is not null && below.StartsWith('[') && below.IndexOf(']', StringComparison.Ordinal) is var end
            && int.TryParse(below.AsSpan(1, end - 1), out var index))
            below = $"[{places[index]}]{below[(end + 1)..]}";
        return new KreweException(
            ErrorCode.InvalidRequest, $"'{path}{below}' cannot be used: {error.Message}.", path + below, error);
    }
}
