using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Krewe.Control.Metrics;

namespace Krewe.Tidy.Tests;

/// <summary>Dashboards and alerts ask only for what the product measures, and each alert has its page.</summary>
public sealed partial class MonitoringTests
{
    private const string Alerts = "helm/krewe/alerts/krewe.yaml";

    /// <summary>What else may stand in an expression: functions, operators, labels.</summary>
    private static readonly HashSet<string> Words =
    [
        "absent", "and", "avg", "by", "deriv", "group_left", "histogram_quantile", "increase", "max", "on", "or",
        "rate", "sum", "unless", "without", "le", "model", "silo", "worker",
        .. MetricCatalog.All.SelectMany(info => info.Labels),
    ];

    [Fact]
    public void Every_metric_of_the_Grafana_dashboards_exists() =>
        Findings.None(Boards().SelectMany(board => Expressions(JsonNode.Parse(board.Text)!)
            .SelectMany(FindUnknown).Select(word => $"{board.Path}: {word} is no metric of Krewe.")));

    [Fact]
    public void Every_metric_of_the_alert_rules_exists() =>
        Findings.None(Rules().SelectMany(rule => FindUnknown(rule.Expression)
            .Select(word => $"{Alerts}: {rule.Name}: {word} is no metric of Krewe.")));

    [Fact]
    public void Every_alert_has_its_page_and_every_page_its_alert()
    {
        var names = Rules().Select(rule => rule.Name).ToHashSet();
        var pages = Repository.Under("docs/operations").Select(file => file.Path)
            .Where(path => Path.GetFileName(path).StartsWith("Krewe", StringComparison.Ordinal))
            .Select(Path.GetFileNameWithoutExtension).ToHashSet();

        Assert.True(names.Count > 10, string.Join(", ", names));
        Findings.None(names.Except(pages).Select(name => $"docs/operations/{name}.md is missing.")
            .Concat(pages.Except(names).Select(page => $"docs/operations/{page}.md: no alert has this name.")));
        Findings.None(Rules().Where(rule => !rule.Text.Contains(
                $"runbook: docs/operations/{rule.Name}.md\n", StringComparison.Ordinal))
            .Select(rule => $"{Alerts}: {rule.Name} does not name its page."));
        Findings.None(pages.Select(page => Repository.Get($"docs/operations/{page}.md"))
            .Where(page => !page.Text.Contains("## What it means", StringComparison.Ordinal)
                || !page.Text.Contains("## What to do", StringComparison.Ordinal))
            .Select(page => $"{page.Path}: it must say what the alert means and what to do."));
    }

    [Fact]
    public void Dashboards_have_panels_with_targets_and_names_of_their_own()
    {
        var boards = Boards().Select(board => JsonNode.Parse(board.Text)!.AsObject()).ToArray();

        Assert.True(boards.Length >= 3);
        Assert.Equal(boards.Length, boards.Select(board => (string)board["uid"]!).Distinct().Count());
        Assert.All(boards, board => Assert.All(
            board["panels"]!.AsArray().Where(panel => (string)panel!["type"]! != "row"),
            panel => Assert.NotEmpty(panel!["targets"]!.AsArray())));
    }

    [Fact]
    public void A_metric_that_does_not_exist_is_found()
    {
        Assert.Equal(["krewe_unheard_of_total"], FindUnknown("sum by (model) (rate(krewe_unheard_of_total[5m]))"));
        Assert.Equal(["krewe_queue_seconds"], FindUnknown("rate(krewe_queue_seconds{model=\"a\"}[5m])"));
        Assert.Empty(FindUnknown("histogram_quantile(0.9, sum by (le) (rate(krewe_queue_seconds_bucket[5m]))) > 1e3"));
    }

    private static IEnumerable<RepositoryFile> Boards() =>
        Repository.Under("helm/krewe/dashboards").Where(file => file.Extension == ".json");

    private static IEnumerable<string> Expressions(JsonNode node) => node switch
    {
        JsonObject item => item.SelectMany(pair => pair.Key == "expr"
            ? [(string)pair.Value!]
            : pair.Value is null ? [] : Expressions(pair.Value)),
        JsonArray list => list.OfType<JsonNode>().SelectMany(Expressions),
        _ => [],
    };

    private static IEnumerable<(string Name, string Expression, string Text)> Rules() =>
        from rule in Rule().Matches(Repository.Get(Alerts).Text + "\n")
        select (rule.Groups[1].Value, rule.Groups[2].Value, rule.Value);

    private static IEnumerable<string> FindUnknown(string expression)
    {
        // A histogram's own name is no sample's: only its three series are.
        var known = MetricCatalog.SampleNames.ToHashSet();
        return Identifier().Matches(Quoted().Replace(expression, "")).Select(match => match.Value).Distinct()
            .Where(word => !known.Contains(word) && !Words.Contains(word));
    }

    [GeneratedRegex(@"- alert: (\w+)\n\s+expr: (.*?)\n\s+(?:for|labels):.*?runbook: [^\n]*\n", RegexOptions.Singleline)]
    private static partial Regex Rule();

    [GeneratedRegex("""
        "[^"]*"|\[[^\]]*\]
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Quoted();

    [GeneratedRegex(@"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*")]
    private static partial Regex Identifier();
}
