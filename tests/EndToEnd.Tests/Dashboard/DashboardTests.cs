using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using Krewe.Control.Access;
using Krewe.EndToEnd.Tests.Harness;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Krewe.EndToEnd.Tests.Dashboard;

/// <summary>
/// The dashboard in a real browser, on real processes with load on them and API keys in force: every page in light and
/// dark at both widths, and every action.
/// </summary>
public sealed class DashboardTests
{
    private const string Tenant = "house";
    private const string Key = "krewe-test-key-of-the-dashboard";
    private const string Weak = "krewe-test-key-that-may-not-operate";

    private static readonly (string Page, string MustShow)[] Pages =
    [
        ("overview", ".charts canvas"), ("workers", "tr[data-key='decode-1'] .bar"), ("requests", "tr[data-key] a"),
        ("kv", "tr[data-key='decode-0'] .bar"), ("decisions", "section[aria-label='Operators'] h2"),
        ("grains", "tr[data-key='RequestGrain.StartAsync']"),
    ];

    [BrowserFact]
    public async Task Every_page_and_every_action_works_on_a_live_cluster()
    {
        using var keys = new TemporaryFile(KeyFile());
        await using var cluster = await KreweCluster.StartAsync(
            "--decode", "2", "--kv-host-bytes", "8MiB", "--kv-memory", "4MiB", "--slo-ttft", "2", "--slo-tpot", "0.5",
            "--api-keys", keys.Path);
        cluster.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
        // A busy machine takes its time.
        SetDefaultExpectTimeout(120_000);
        using var playwright = await Playwright.CreateAsync();
        await using var browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = BrowserFactAttribute.Browser,
            Args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        });
        await using var load = new DashboardLoad(cluster);

        var migrated = await OperateAsync(cluster, browser);
        foreach (var dark in (bool[])[false, true])
        {
            await using var page = await DashboardPage.OpenAsync(browser, cluster.Address, dark, Key);
            await Expect(page.Page.Locator("html")).ToHaveAttributeAsync("data-theme", dark ? "dark" : "light");
            foreach (var width in (int[])[1280, 390])
            {
                await page.ResizeAsync(width);
                foreach (var (name, mustShow) in Pages) await page.GoAsync(name, mustShow);
                await page.Page.EvaluateAsync("id => { location.hash = `#/requests/${id}`; }", migrated);
                await Expect(page.Page.Locator("rect.migration")).ToHaveCountAsync(1);
                await page.CheckAsync("timeline");
            }

            page.DemandNoComplaint();
        }
    }

    /// <summary>Every action once, as an operator clicks and types; returns the request that was migrated.</summary>
    private static async Task<string> OperateAsync(KreweCluster cluster, IBrowser browser)
    {
        await using var page = await DashboardPage.OpenAsync(browser, cluster.Address, dark: false, key: null);
        await SignInAsync(page);
        await Expect(page.Page.Locator(".tile .value").First).Not.ToHaveTextAsync("0.0req/s");
        var migrated = await MigrateAsync(cluster, page);

        // By keys alone.
        await page.Page.Keyboard.PressAsync("2");
        await Expect(page.Row("decode-1")).ToBeVisibleAsync();
        await page.Page.Keyboard.PressAsync("t");
        await Expect(page.Page.Locator("html")).ToHaveAttributeAsync("data-theme", "dark");
        await page.Page.Keyboard.PressAsync("t");
        await page.Button("Cordon", "decode-1").FocusAsync();
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Dialog).ToBeVisibleAsync();
        await page.CheckAsync("dialog");
        await page.Page.Keyboard.PressAsync("Escape");
        await Expect(page.Dialog).ToBeHiddenAsync();
        Assert.Empty(await ActionsAsync(cluster, "/cordon"));

        await page.Button("Cordon", "decode-1").ClickAsync();
        await page.ConfirmAsync("Cordon", "Cordon decode-1");
        await ExpectStateAsync(page, "decode-1", "cordoned");
        await page.Button("Uncordon", "decode-1").ClickAsync();
        await page.ConfirmAsync("Uncordon", "Uncordon decode-1");
        await ExpectStateAsync(page, "decode-1", "ready");

        await page.Button("Drain", "decode-1").ClickAsync();
        await page.ConfirmAsync("Drain", "Drain decode-1");
        await ExpectStateAsync(page, "decode-1", "draining");
        await cluster.WhenAsync(
            state => state.Worker("decode-1").Attempts == 0, "decode-1 is empty");
        await page.Button("Uncordon", "decode-1").ClickAsync();
        await page.ConfirmAsync("Uncordon", "Uncordon decode-1");

        foreach (var role in (string[])["prefill", "decode"])
        {
            await page.Button("Role", "decode-1").ClickAsync();
            await page.Dialog.Locator("select").SelectOptionAsync(role);
            await page.ConfirmAsync("Switch role", "Switch the role of decode-1");
            await Expect(page.Row("decode-1").Locator("td").Nth(1)).ToHaveTextAsync(role);
        }

        await page.GoAsync("decisions", "section[aria-label='Operators'] tr:nth-child(5)");
        Assert.Equal(2, (await ActionsAsync(cluster, "/role")).Length);
        Assert.Single(await ActionsAsync(cluster, "/drain"));
        Assert.All(await ActionsAsync(cluster, "/cordon"), who => Assert.Equal("dashboard", who));
        page.DemandNoComplaint();
        return migrated;
    }

    /// <summary>The page asks for a key; one without the role is not enough.</summary>
    private static async Task SignInAsync(DashboardPage page)
    {
        await Expect(page.Dialog).ToBeVisibleAsync();
        await page.Dialog.Locator("input").FillAsync(Weak);
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Dialog).ToContainTextAsync("may not operate");
        await page.CheckAsync("key");
        await page.Dialog.Locator("input").FillAsync(Key);
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Page.Locator("#link")).ToHaveTextAsync("live");
        // The refusals on the way are the browser's to complain of.
        page.ForgetComplaints();
    }

    /// <summary>A fast machine may finish an answer before it is clicked: then another one is tried.</summary>
    private static async Task<string> MigrateAsync(KreweCluster cluster, DashboardPage page)
    {
        for (var attempt = 0; ; attempt++)
        {
            var (id, answer) = await DashboardLoad.BeginLongAsync(cluster, attempt);
            // As operators know it, with its tenant behind it.
            var inside = $"{id}~{Tenant}";
            await page.Page.EvaluateAsync("id => { location.hash = `#/requests/${id}`; }", inside);
            await Expect(page.Page.Locator("h1", new PageLocatorOptions { HasText = inside })).ToBeVisibleAsync();
            var migrate = page.Page.Locator("[data-focus='migrate']");
            if (await migrate.CountAsync() > 0 && await migrate.IsEnabledAsync())
            {
                try
                {
                    await migrate.ClickAsync(new LocatorClickOptions { Timeout = 10_000 });
                    await page.Dialog.Locator("button[type='submit']").ClickAsync();
                }
                catch (TimeoutException)
                {
                    // It ended meanwhile, and its button went with it.
                }
            }

            Assert.EndsWith("data: [DONE]\n\n", await answer, StringComparison.Ordinal);
            if (await Flooder.MigrationsAsync(cluster, id) > 0)
            {
                await Expect(page.Page.Locator("rect.migration")).ToHaveCountAsync(1);
                await Expect(page.Page.Locator(".legend")).ToContainTextAsync("live migration");
                Assert.NotEmpty(await ActionsAsync(cluster, "/migrate"));
                return inside;
            }

            Assert.True(attempt < 10, $"No answer could be migrated by hand.\n{cluster.LogTail()}");
            if (await page.Dialog.IsVisibleAsync()) await page.Page.Keyboard.PressAsync("Escape");
        }
    }

    private static Task ExpectStateAsync(DashboardPage page, string worker, string state) =>
        Expect(page.Row(worker).Locator(".chip").First).ToHaveTextAsync(state);

    /// <summary>Names of the keys under which an action of this kind was put down.</summary>
    private static async Task<string[]> ActionsAsync(KreweCluster cluster, string ending)
    {
        using var audit = JsonDocument.Parse(await cluster.Http.GetStringAsync("/v1/cluster/audit"));
        return
        [
            .. audit.RootElement.GetProperty("data").EnumerateArray()
                .Where(one => one.GetProperty("path").GetString()!.EndsWith(ending, StringComparison.Ordinal))
                .Select(one => one.GetProperty("key").GetString()!),
        ];
    }

    private static string KeyFile()
    {
        JsonObject Entry(string name, string key, string role) => new()
        {
            ["name"] = name,
            ["sha256"] = Convert.ToHexStringLower(ApiKey.HashOf(key)),
            ["tenant"] = Tenant,
            ["roles"] = new JsonArray(role),
        };
        return new JsonObject
        {
            ["keys"] = new JsonArray(Entry("dashboard", Key, "admin"), Entry("user", Weak, "inference")),
        }.ToJsonString();
    }

    private sealed class TemporaryFile : IDisposable
    {
        public TemporaryFile(string text)
        {
            Path = System.IO.Path.GetTempFileName();
            File.WriteAllText(Path, text);
        }

        public string Path { get; }

        public void Dispose() => File.Delete(Path);
    }
}
