// What the journeys have in common.

export const admin = { email: "ada@example.com", password: "a well kept cabinet of keys" };

export async function setUp(page, server) {
  await page.goto(server.setupUrl);
  await page.getByLabel("Email address").fill(admin.email);
  await page.getByLabel("Password", { exact: true }).fill(admin.password);
  await page.getByRole("button", { name: "Create admin" }).click();
  await page.getByRole("heading", { level: 1, name: "Generate New Key" }).waitFor();
}

export async function signIn(page, { email, password } = admin) {
  await page.goto("/sign-in");
  await page.getByLabel("Email address").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".rail").waitFor();
}

// Fills and sends the form; answers the secret that the page shows, and the key's id.
export async function generateKey(page, { name, preset, base = "/settings/api-keys" }) {
  await page.goto(`${base}/new`);
  await page.getByLabel("Name", { exact: true }).fill(name);
  if (preset) await page.getByRole("radio", { name: preset }).check();
  await page.getByRole("button", { name: "Generate New Key" }).click();
  return shownSecret(page);
}

export async function shownSecret(page) {
  await page.getByRole("heading", { name: "Copy and securely store your key" }).waitFor();
  const secret = await page.getByLabel("Secret key").inputValue();
  const href = await page.getByRole("link", { name: "I have stored the key" }).getAttribute("href");
  return { secret, href };
}

export async function store(page) {
  await page.getByRole("link", { name: "I have stored the key" }).click();
  await page.getByRole("heading", { name: "Facts" }).waitFor();
}

// A confirmation: a dialog where scripts run, a page where they do not. Answers the element that holds the form.
export async function confirmation(page, link, button) {
  await page.getByRole("link", { name: link, exact: true }).click();
  const form = page.locator("form[data-confirm]");
  await form.getByRole("button", { name: button }).waitFor();
  return form;
}

// Adds a webhook that is told of users and keys; answers its secret, which the page shows.
export async function addWebhook(page, url) {
  await page.goto("/admin/webhooks/new");
  await page.getByLabel("URL", { exact: true }).fill(url);
  for (const event of ["user.created", "key.created", "key.revoked"]) await page.locator(`[value="${event}"]`).check();
  await page.getByRole("button", { name: "Add webhook" }).click();
  await page.getByRole("heading", { name: "Copy and securely store the secret" }).waitFor();
  return page.getByLabel("Signing secret").inputValue();
}

export async function storeWebhook(page) {
  await page.getByRole("link", { name: "I have stored the secret" }).click();
  await page.getByRole("heading", { name: "Deliveries" }).waitFor();
  return { href: new URL(page.url()).pathname };
}
