"""Opens the dashboard in headless Chromium, waits for its charts, and compares figures with SQL.

    check.py URL PASSWORD DATABASE-URI SCREENSHOT

Runs in the environment that run made, which has selenium and psycopg2; Chromium and its driver are
Debian's (packages chromium and chromium-driver). Prints a line per check.
"""
import decimal
import sys

import psycopg2
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHARTS = 6
# What the dashboard shows at first: this month and the five before.
MONTHS = ("day >= date_trunc('month', current_date) - interval '5 months'"
          " AND day < date_trunc('month', current_date) + interval '1 month'")
# A retainer has a budget per period instead.
BUDGET = """SELECT project, sum(used_hours) FROM reports.project_budgets
             WHERE budget_hours > 0 AND closed_on IS NULL AND NOT is_retainer
             GROUP BY project, client ORDER BY sum(used_hours) / sum(budget_hours) DESC LIMIT 1"""
HOURS = f"SELECT sum(hours) FROM reports.tracked_time WHERE {MONTHS}"


def main(url, password, uri, screenshot):
    database = psycopg2.connect(uri.replace("+psycopg2", "", 1))
    browser = chromium()
    try:
        log_in(browser, url, password)
        browser.get(f"{url}/superset/dashboard/awork/")
        wait_for_charts(browser)
        print(f"ok {CHARTS} charts are there")
        shows_hours(browser, "the tracked hours are those of SQL", one(database, HOURS))
        equal("the table of overdue tasks begins with the oldest", cell(browser, "Overdue tasks", 2), one(
            database, "SELECT max(days_overdue)::text FROM reports.overdue_tasks"))
        project, used = row(database, BUDGET)
        equal("the table of budgets begins with the most used one", cell(browser, "Budget burn", 1), project)
        equal("the hours used of it are those of SQL", cell(browser, "Budget burn", 4), f"{used:,.1f}")
        browser.save_screenshot(screenshot)
        client = one(database, f"SELECT client FROM reports.tracked_time WHERE {MONTHS} AND client ~ '^[A-Za-z ]+$'"
                               " GROUP BY 1 ORDER BY sum(hours) DESC LIMIT 1")
        choose(browser, client)
        shows_hours(browser, f"the hours of {client} are those of SQL",
                    one(database, f"{HOURS} AND client = %s", client))
    except BaseException:
        browser.save_screenshot(screenshot)
        raise
    finally:
        browser.quit()


def equal(what, found, expected):
    if found != expected:
        raise SystemExit(f"not ok {what}: found {found}, expected {expected}")
    print(f"ok {what}: {found}")


def row(database, query, *parameters):
    with database.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchone()


def one(database, query, *parameters):
    return row(database, query, *parameters)[0]


def chromium():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # A sandbox of Chromium's own does not start for root.
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1500,1750",
                     "--hide-scrollbars", "--lang=en-US"):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))


def log_in(browser, url, password):
    browser.get(f"{url}/login/")

    def logged_in():
        # What is typed before the page's program has started is lost: the fields are empty again.
        for name, password_field in zip(find(browser, "input#username"), find(browser, "input#password")):
            if not name.get_property("value") and not password_field.get_property("value"):
                name.send_keys("admin")
                password_field.send_keys(password, Keys.ENTER)
        return "/login" not in browser.current_url

    wait(browser, logged_in)


def find(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def wait(browser, condition, seconds=180):
    # A chart may be drawn anew between finding and reading it.
    stale = [StaleElementReferenceException]
    return WebDriverWait(browser, seconds, 0.5, stale).until(lambda _: condition())


def wait_for_charts(browser):
    def errors():
        return [error.text for error in find(browser, ".ant-alert-error")]

    wait(browser, lambda: errors() or not find(browser, ".loading")
         and len(find(browser, ".slice_container")) == CHARTS)
    if errors():
        raise SystemExit(f"not ok the charts have no errors: {errors()}")


def shows_hours(browser, what, expected):
    """Holds that the figure is there, rounded as the chart does, once the chart has been drawn again."""
    def shown():
        figures = find(browser, "[data-test-viz-type='big_number_total'] .header-line")
        return figures[0].text if figures else "nothing"

    try:
        wait(browser, lambda: shown() != "nothing"
             and abs(decimal.Decimal(shown().replace(",", "")) - expected) <= decimal.Decimal("0.05"), 60)
    except TimeoutException:
        raise SystemExit(f"not ok {what}: found {shown()}, expected {expected:.1f}") from None
    print(f"ok {what}: {shown()}")


def cell(browser, chart, column):
    """What the first row of a table has in the column, the first of which is 1."""
    return find(browser, f"[data-test-chart-name='{chart}'] tbody tr td:nth-child({column})")[0].text


def choose(browser, client):
    field = find(browser, "[data-test='filter-bar'] input[type=search]")[0]
    field.send_keys(client)
    wait(browser, lambda: find(browser, f".ant-select-item-option[title='{client}']"))
    field.send_keys(Keys.ENTER, Keys.ESCAPE)
    button = "[data-test='filter-bar__apply-button']"
    wait(browser, lambda: find(browser, button)[0].is_enabled())
    find(browser, button)[0].click()


if __name__ == "__main__":
    main(*sys.argv[1:])
