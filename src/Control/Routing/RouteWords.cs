using System.Globalization;
using System.Text;

namespace Krewe.Control.Routing;

/// <summary>A choice in words: the policy, the rule, both workers' loads, the hit and the prediction.</summary>
internal static class RouteWords
{
    public static string Of(string policy, in RouteChoice choice, RouteTable table)
    {
        var (prefill, decode) = (choice.Prefill!, choice.Decode!);
        var words = new StringBuilder();
        var culture = CultureInfo.InvariantCulture;
        words.Append(culture, $"{policy}: {choice.Rule}; ");
        if (!choice.NeedsHandoff) words.Append("no handoff; ");
        words.Append(culture, $"{prefill.Worker.WorkerId}: {prefill.OutstandingTokens} prompt tokens outstanding");
        if (choice.HitTokens > 0) words.Append(culture, $", {choice.HitTokens} tokens known");
        if (choice.RestoreTokens > 0) words.Append(culture, $" ({choice.RestoreTokens} restored)");
        if (choice.PullFromSlot is { } slot)
        {
            var holder = table.At(slot)?.Worker.WorkerId ?? "a worker that left";
            words.Append(culture, $" ({choice.PullTokens} pulled from {holder})");
        }

        words.Append(culture, $"; {decode.Worker.WorkerId}: {decode.Sequences} sequences");
        words.Append(culture, $", {decode.KvUsage:0%} KV in use");
        // Guessed costs compare workers; in ms they would be a lie.
        if (prefill.Steps.IsGuess || decode.Steps.IsGuess) return words.ToString();
        if (!double.IsNaN(choice.TtftMs)) words.Append(culture, $"; predicted TTFT {choice.TtftMs:0.#} ms");
        if (!double.IsNaN(choice.TpotMs)) words.Append(culture, $", TPOT {choice.TpotMs:0.##} ms");
        return words.ToString();
    }
}
